"""What a method may ask of the model between updates: log-probabilities, the reference's, values, and new completions.

Nothing here keeps a graph, so that larger packs fit than in training. Dropout is off. Knows nothing of losses.

Axes: T targets of all groups laid end to end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn

from burnish.errors import TrainError
from burnish.logs import Bar
from burnish.models import seats
from burnish.models.generate import Generated, GenerationSettings, generate
from burnish.models.groups import PromptGroup
from burnish.models.logprobs import token_logprobs
from burnish.models.packing import Packed
from burnish.models.seats import ValueHead, target_values
from burnish.models.vllm_writer import VLLMWriter
from burnish.train.batches import step_seed
from burnish.train.known_targets import KnownTargets
from burnish.train.reading import ROOM_WITHOUT_A_GRAPH, read_rows
from burnish.train.teacher import Teacher


@dataclass(frozen=True, eq=False)
class Engine:
    """One model in its seats. `dtype` is the type of matrix products, `token_budget` training's, `max_length` the most
    tokens of a prompt with its completion; `known` holds the reference's log-probabilities as far as computed; `base`
    is what the base weights are known by. `teacher` is another model that the method learns from; `writer` what
    completions are written with, where it isn't the model's own generation."""

    module: nn.Module
    device: torch.device
    dtype: torch.dtype
    tokenizer: Any
    token_budget: int
    max_length: int
    known: KnownTargets
    value_head: ValueHead | None = None
    score_head: ValueHead | None = None
    seed: int = 0
    base: str = ""
    teacher: Teacher | None = None
    writer: VLLMWriter | None = None

    def logprobs(self, groups: Sequence[PromptGroup]) -> torch.Tensor:
        """The policy's log-probabilities of all targets, (T,) fp32 on the CPU."""
        return self._read(groups, self._own)

    def logprobs_as_trained(self, groups: Sequence[PromptGroup]) -> torch.Tensor:
        """The same, from the very packed rows that an update on these groups has, so that as long as no weight has
        moved both are equal to the last bit."""
        return self._read(groups, self._own, budget=self.token_budget)

    def reference(self, groups: Sequence[PromptGroup]) -> torch.Tensor:
        """The reference's log-probabilities of all targets, (T,) fp32 on the CPU: those that are known, or computed
        now, with the adapter off.

        Raises: TrainError when they aren't known and the weights have moved away from the reference's.
        """
        if self.known.lacks(groups):
            if not seats.has_reference(self.module):
                raise TrainError(
                    "train.adapter: full keeps no copy of the model before training, but the method compares what it "
                    "samples with that; training stopped",
                    hint="set train.adapter: lora, or qlora",
                )
            return self._reference_now(groups)
        return self.known.of(groups)

    def values(self, groups: Sequence[PromptGroup]) -> torch.Tensor:
        """The value before each target, (T,) fp32 on the CPU."""
        head = self.value_head
        assert head is not None, "the method's roles have no value"
        return self._read(groups, lambda packed: target_values(self.module, head, packed))

    def scores(self, groups: Sequence[PromptGroup], score: Callable[[nn.Module, Packed], torch.Tensor]) -> torch.Tensor:
        """A number for each completion, (C,) fp32 on the CPU: `score` gives those of one packed row."""
        completions = [len(group.completions) for group in groups]
        return self._read(groups, lambda packed: score(self.module, packed), lengths=completions)

    def leave(self, adapter: str) -> None:
        """Take an adapter that sat beside the policy's off the base weights."""
        cast(Any, self.module).delete_adapter(adapter)

    def generate(
        self,
        prompts: Sequence[tuple[int, ...]],
        settings: GenerationSettings,
        step: int,
        *,
        logprobs: bool = False,
    ) -> list[Generated]:
        """A completion of each prompt by the policy; the random numbers follow from the run's seed and `step`. A prompt
        that is given several times gets as many completions. `logprobs`: with those that they were drawn with."""
        seeded = settings.model_copy(update={"seed": step_seed(self.seed, step)})
        write = self.writer.write if self.writer else generate
        return write(self.module, self.tokenizer, prompts, seeded, logprobs=logprobs)

    def learn_reference(self, groups: Iterable[PromptGroup], total: int) -> None:
        """Compute the reference's log-probabilities of `groups` (about `total`), each group's once, and keep them on
        disk. The weights must be those before training."""
        self.known.learn(groups, total, self._reference_now)

    def _reference_now(self, groups: Sequence[PromptGroup], bar: Bar | None = None) -> torch.Tensor:
        with seats.reference(self.module):
            return self._read(groups, self._own, bar)

    def _own(self, packed: Packed) -> torch.Tensor:
        return token_logprobs(self.module, packed).logprobs_T

    def _read(
        self,
        groups: Sequence[PromptGroup],
        score: Callable[[Packed], torch.Tensor],
        bar: Bar | None = None,
        budget: int | None = None,
        lengths: Sequence[int] | None = None,
    ) -> torch.Tensor:
        budget = budget or ROOM_WITHOUT_A_GRAPH * self.token_budget
        return read_rows(self.module, self.device, self.dtype, groups, score, budget, bar=bar, lengths=lengths)

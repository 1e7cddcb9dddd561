"""What a method may ask of the model between updates: log-probabilities, the reference's, values, and new completions.

Nothing here keeps a graph, so that larger packs fit than in training. Dropout is off. Knows nothing of losses.

Axes: T targets of all groups laid end to end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn

from burnish.errors import TrainError
from burnish.logs import Bar, progress, say
from burnish.models import seats
from burnish.models.device import autocast
from burnish.models.generate import Generated, GenerationSettings, generate
from burnish.models.groups import PromptGroup
from burnish.models.logprobs import token_logprobs
from burnish.models.packing import Packed, arrange, lay_out
from burnish.models.seats import ValueHead, target_values
from burnish.train.batches import step_seed
from burnish.train.reference import CHUNK, ReferenceLogprobs

_ROOM_WITHOUT_A_GRAPH = 4


@dataclass(frozen=True, eq=False)
class Engine:
    """One model in its seats. `dtype` is the type of matrix products, `token_budget` training's, `max_length` the most
    tokens of a prompt with its completion; `known` holds the reference's log-probabilities as far as computed; `base`
    is what the base weights are known by."""

    module: nn.Module
    device: torch.device
    dtype: torch.dtype
    tokenizer: Any
    token_budget: int
    max_length: int
    known: ReferenceLogprobs
    value_head: ValueHead | None = None
    score_head: ValueHead | None = None
    seed: int = 0
    base: str = ""

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
        return generate(self.module, self.tokenizer, prompts, seeded, logprobs=logprobs)

    def learn_reference(self, groups: Iterable[PromptGroup], total: int) -> None:
        """Compute the reference's log-probabilities of `groups` (about `total`), each once, and keep them on disk.
        The weights must be those before training. Chunks are the same whether or not a run before this one had done
        some of them."""
        chunk: dict[bytes, PromptGroup] = {}
        computed = 0
        with progress("Reference (groups)", total) as bar:
            for group in groups:
                digest = self.known.digest(group)
                if digest in self.known or digest in chunk:
                    bar.advance()
                    continue
                chunk[digest] = group
                computed += 1
                if len(chunk) == CHUNK:
                    self._learn(chunk, bar)
                    chunk = {}
            if chunk:
                self._learn(chunk, bar)
        self.known.save()
        if not computed:
            say("the reference's log-probabilities were computed before and are used again")

    def _learn(self, chunk: dict[bytes, PromptGroup], bar: Bar) -> None:
        groups = list(chunk.values())
        self.known.add(list(chunk), [group.num_targets for group in groups], self._reference_now(groups, bar))

    def _reference_now(self, groups: Sequence[PromptGroup], bar: Bar | None = None) -> torch.Tensor:
        with seats.reference(self.module):
            return self._read(groups, self._own, bar)

    def _own(self, packed: Packed) -> torch.Tensor:
        return token_logprobs(self.module, packed).logprobs_T

    @torch.no_grad()
    def _read(
        self,
        groups: Sequence[PromptGroup],
        score: Callable[[Packed], torch.Tensor],
        bar: Bar | None = None,
        budget: int | None = None,
        lengths: Sequence[int] | None = None,
    ) -> torch.Tensor:
        """Numbers of all targets, packed for reading (or in rows of `budget` tokens), back in the groups' order.
        `lengths`: how many numbers each group has, where it isn't one for each target."""
        lengths = lengths or [group.num_targets for group in groups]
        pieces: list[torch.Tensor] = [torch.empty(0)] * len(groups)
        budget = budget or _ROOM_WITHOUT_A_GRAPH * self.token_budget
        with memory_told(self.device, budget), evaluating(self.module), autocast(self.device, self.dtype):
            for row in arrange(groups, budget):
                chosen = [groups[index] for index in row]
                numbers = score(lay_out(chosen)).float().cpu()
                for index, piece in zip(row, torch.split(numbers, [lengths[index] for index in row]), strict=True):
                    pieces[index] = piece
                if bar:
                    bar.advance(len(row))
        return torch.cat(pieces) if pieces else torch.empty(0)


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """The model in evaluation mode, until the end."""
    modes = [(inner, inner.training) for inner in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for inner, mode in modes:
            inner.training = mode


@contextmanager
def memory_told(device: torch.device, token_budget: int) -> Iterator[None]:
    """Raises: TrainError saying what to change, where memory runs out."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise TrainError(
            f"{device}: out of memory with up to {token_budget:,} tokens at once; training stopped, earlier "
            "checkpoints are intact",
            hint="lower train.token_budget (the result stays the same), train.max_length, or use the adapter qlora",
        ) from error

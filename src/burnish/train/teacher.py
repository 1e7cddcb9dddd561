"""Another model that the policy learns from: what it thinks of given targets. Its weights stand still.

What it thinks is kept in one of two forms, neither of which holds targets times vocabulary: the likeliest tokens of
each target with their log-probabilities, which can be computed beforehand and kept on disk; or its last hidden states,
from which its whole distributions are made again, a few targets at a time.

Axes: T targets of all groups laid end to end, N some of them, D hidden size, V vocabulary, K likeliest tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch

from burnish.errors import TrainError
from burnish.logs import Bar, warn
from burnish.models.anatomy import parts
from burnish.models.distributions import read_distributions, vocabulary_of
from burnish.models.groups import Completion, PromptGroup
from burnish.models.head import final_logits
from burnish.models.load import LoadedModel
from burnish.models.logprobs import target_states
from burnish.models.packing import Packed
from burnish.train.known_targets import KnownTargets
from burnish.train.reading import ROOM_WITHOUT_A_GRAPH, read_rows


@dataclass(frozen=True, slots=True)
class Top:
    """The `tokens` likeliest tokens of a target, with log-probabilities at a temperature."""

    tokens: int
    temperature: float


class Teacher:
    """A model in memory. `vocabulary` is how many tokens it has in common with the policy, from the first on; `top` and
    `known` are set where its likeliest tokens are kept."""

    def __init__(
        self,
        loaded: LoadedModel,
        vocabulary: int,
        token_budget: int,
        top: Top | None = None,
        known: KnownTargets | None = None,
    ) -> None:
        self.loaded = loaded
        self._vocabulary = vocabulary
        self._budget = ROOM_WITHOUT_A_GRAPH * token_budget
        self._top = top
        self._known = known
        loaded.model.requires_grad_(False)

    def wake(self) -> None:
        """Read every weight once, so that memory holds what it will hold while the teacher is asked: the pages of a
        file come when they are read, and rounded weights with the first product."""
        self.logprobs(self.states([PromptGroup((0,), (Completion((0,), (1.0,)),))]))

    def learn(self, groups: Iterable[PromptGroup], total: int) -> None:
        """Compute the likeliest tokens of the targets of `groups` (about `total`), each group's once, and keep them on
        disk."""
        assert self._known is not None, "the method keeps no likeliest tokens"
        self._known.learn(groups, total, self._top_now)

    def likeliest(self, groups: Sequence[PromptGroup]) -> torch.Tensor:
        """The likeliest tokens of all targets, the likeliest first, as log-probabilities and as ids (whole numbers):
        (T, 2, K) fp32 on the CPU."""
        assert self._known is not None, "the method keeps no likeliest tokens"
        return self._top_now(groups) if self._known.lacks(groups) else self._known.of(groups)

    def states(self, groups: Sequence[PromptGroup]) -> torch.Tensor:
        """The last hidden state that predicts each target, (T, D) fp32 on the CPU: what `logprobs` is made from."""
        return self._read(groups, None, lambda packed: target_states(self.loaded.model, packed))

    @torch.no_grad()
    def logprobs(self, states_ND: torch.Tensor) -> torch.Tensor:
        """Log-probabilities over the common vocabulary, (N, V) fp32, given hidden states, on whose device they are."""
        loaded = self.loaded
        logits_NV = final_logits(parts(loaded.model), states_ND.to(loaded.device, loaded.dtype))
        return self.common(logits_NV.log_softmax(-1)).to(states_ND.device)

    def common(self, logprobs_NV: torch.Tensor) -> torch.Tensor:
        """Log-probabilities over the common vocabulary alone; a head may have rows more that stand for no token."""
        if logprobs_NV.shape[1] == self._vocabulary:
            return logprobs_NV
        return logprobs_NV[:, : self._vocabulary].log_softmax(-1)

    def _top_now(self, groups: Sequence[PromptGroup], bar: Bar | None = None) -> torch.Tensor:
        assert self._top is not None
        tokens, temperature = min(self._top.tokens, self._vocabulary), self._top.temperature

        def reading(logprobs_NV: torch.Tensor) -> torch.Tensor:
            logprobs_NV = self.common(logprobs_NV)
            if temperature != 1.0:
                logprobs_NV = (logprobs_NV / temperature).log_softmax(-1)
            top = logprobs_NV.topk(tokens)
            return torch.stack((top.values, top.indices.float()), dim=1)  # ids below 2^24 are exact

        return self._read(groups, bar, lambda packed: read_distributions(self.loaded.model, packed, reading))

    def _read(
        self, groups: Sequence[PromptGroup], bar: Bar | None, score: Callable[[Packed], torch.Tensor]
    ) -> torch.Tensor:
        loaded = self.loaded
        return read_rows(loaded.model, loaded.device, loaded.dtype, groups, score, self._budget, bar=bar)


def common_vocabulary(teacher: LoadedModel, student: LoadedModel) -> int:
    """How many tokens, from the first on, both models have in common. Where their chat templates differ it is said, for
    the teacher then reads the student's.

    Raises: TrainError when their tokenisers differ, so that one can't tell what the other's tokens are worth.
    """
    ours, theirs = student.tokenizer.get_vocab(), teacher.tokenizer.get_vocab()
    if ours != theirs:
        apart = len(ours.items() ^ theirs.items())
        raise TrainError(
            f"train.method.teacher: the tokeniser of {teacher.identity.name} has {len(theirs):,} tokens and the "
            f"student's {len(ours):,}, {apart:,} of them not in both with the same number, expected the same "
            "tokeniser: the teacher is asked about the student's own tokens; nothing was trained",
            hint="set train.method.by: sequence, and replies: teacher on a source of data.train, so that the teacher "
            "writes text; or name a teacher of the student's family",
        )
    if student.tokenizer.chat_template != teacher.tokenizer.chat_template:
        warn("teacher and student have different chat templates; the teacher is asked in the student's")
    return min(vocabulary_of(parts(each.model)) for each in (teacher, student))

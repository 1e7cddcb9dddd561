"""What a training method is: it says which groups to learn from, and what the loss of scored groups is.

It knows nothing of adapters, devices, packing or the loop. An offline method learns from its rows as they are; one that
samples asks the engine for completions, scores them, and lays its numbers (advantages, old log-probabilities) beside
them. Several batches from one call are several updates from one rollout.

Axes: T target tokens of all completions laid end to end, C completions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import accumulate, chain
from pathlib import Path
from typing import Literal, Protocol, TypeAlias, runtime_checkable

import torch

from burnish.models.chat_template import Encoded, Encoder
from burnish.models.distributions import Reading
from burnish.models.groups import PromptGroup
from burnish.models.logprobs import ScoredGroups
from burnish.records import Record
from burnish.train.engine import Engine

Role: TypeAlias = Literal["reference", "value", "score", "teacher"]


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean in the making: sums and counts add up over micro-batches and updates, and are divided when shown."""

    total: float
    count: float = 1.0


@dataclass(frozen=True)
class Batch:
    """What one update learns from: groups, and numbers beside them by name. `per_target` (T, ...) goes over the
    targets of all groups laid end to end, `per_completion` (C, ...) over their completions; they come back in
    `ScoredGroups`, however the groups were packed. `metrics` are of the batch itself, such as a rollout's rewards.
    `reading` is what the loss needs of the whole distribution at each target: what it keeps of them comes back as
    `ScoredGroups.read_T`."""

    groups: Sequence[PromptGroup]
    per_target: Mapping[str, torch.Tensor] = field(default_factory=dict)
    per_completion: Mapping[str, torch.Tensor] = field(default_factory=dict)
    metrics: Mapping[str, Mean] = field(default_factory=dict)
    reading: Reading | None = None

    def part(self, indices: Sequence[int]) -> Batch:
        """The groups of these indices, with their numbers."""
        return Batch(
            [self.groups[index] for index in indices],
            _part(self.per_target, self._targets, indices) if self.per_target else {},
            _part(self.per_completion, [len(group.completions) for group in self.groups], indices),
            reading=self.reading,
        )

    def to(self, device: torch.device) -> Batch:
        """The same, its numbers on another device."""
        return replace(
            self,
            per_target={name: numbers.to(device) for name, numbers in self.per_target.items()},
            per_completion={name: numbers.to(device) for name, numbers in self.per_completion.items()},
        )

    @cached_property
    def _targets(self) -> list[int]:
        return [group.num_targets for group in self.groups]


@dataclass(frozen=True)
class Loss:
    """A micro-batch's contribution. `total` is a scalar tensor with a gradient: a sum, not a mean. The loop adds up
    totals and `weight` over the micro-batches of an update and divides once, so that any split equals the whole
    batch."""

    total: torch.Tensor
    weight: float
    metrics: Mapping[str, Mean] = field(default_factory=dict)


class Method(Protocol):
    """What is optimised."""

    @property
    def roles(self) -> frozenset[Role]:
        """What it needs beside the policy: the reference (the model before training), a teacher (another model), a
        value head with an adapter of its own; or, instead of log-probabilities, a head that scores whole
        completions."""
        ...

    @property
    def learning_rate_share(self) -> float:
        """The share of instruction tuning's learning rate that "auto" takes."""
        ...

    def encode(self, record: Record, encoder: Encoder) -> Encoded:
        """The record as a prompt group, with what truncation took; or why it was dropped."""
        ...

    def compared(self, rows: Sequence[PromptGroup]) -> Sequence[PromptGroup]:
        """The groups that `batches` will ask the reference or the teacher about, given these rows; none where they
        can't be known beforehand. The loop has what they say computed once, before the first step."""
        ...

    def batches(self, rows: Sequence[PromptGroup], engine: Engine, step: int) -> Iterable[Batch]:
        """The batches of one step, from the step's rows. The model moves once after each; the next is asked for only
        then."""
        ...

    def loss(self, scored: ScoredGroups) -> Loss:
        """The loss of one packed micro-batch."""
        ...


@runtime_checkable
class ReadsBeside(Protocol):
    """A method that reads more than rows and the model that it trains."""

    def digest(self, folder: Path) -> str:
        """SHA-256 (hex) of what it reads beside its settings; `folder` is the recipe's.

        Raises: TrainError or ModelError when it isn't there.
        """
        ...


@runtime_checkable
class Writes(Protocol):
    """A method that learns from what the policy writes, so that its rows grow."""

    def longest(self, row: int) -> int:
        """Tokens of the longest group that comes of a row of so many."""
        ...


def _part(
    numbers: Mapping[str, torch.Tensor], lengths: Sequence[int], indices: Sequence[int]
) -> dict[str, torch.Tensor]:
    """The numbers of some groups out of those of all, each group having `lengths` of them."""
    starts = [0, *accumulate(lengths)]
    places = list(chain.from_iterable(range(starts[index], starts[index + 1]) for index in indices))
    return {name: values[torch.tensor(places, dtype=torch.int64)] for name, values in numbers.items()}

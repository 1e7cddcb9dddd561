"""What a training method is: it says which groups to learn from, and what the loss of scored groups is.

It knows nothing of adapters, devices, packing or the loop.

Axes: T target tokens of all completions laid end to end, C completions, G groups.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

import torch

from burnish.models.chat_template import Encoded, Encoder
from burnish.models.logprobs import ScoredGroups
from burnish.records import Record

Role: TypeAlias = Literal["reference", "reward", "value", "teacher"]


@dataclass(frozen=True)
class Loss:
    """A micro-batch's contribution. `total` is a scalar tensor with a gradient: a sum, not a mean. The loop adds up
    totals and `weight` over the micro-batches of a step and divides once, so that any split equals the whole batch.
    `metrics` are sums too, divided by the summed weight when they are shown."""

    total: torch.Tensor
    weight: float
    metrics: Mapping[str, float] = field(default_factory=dict)


class Method(Protocol):
    """What is optimised."""

    @property
    def roles(self) -> frozenset[Role]:
        """Further models that it needs beside the policy."""
        ...

    def encode(self, record: Record, encoder: Encoder) -> Encoded:
        """The record as a prompt group, with what truncation took; or why it was dropped."""
        ...

    def loss(self, scored: ScoredGroups) -> Loss:
        """The loss of one packed micro-batch."""
        ...

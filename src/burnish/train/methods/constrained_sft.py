"""Instruction tuning that holds the first tokens of each answer near the model before training.

Whether a model refuses is settled in the first tokens of its answer, so those are what tuning must not move far. Each
token's loss is -(2 / beta) log sigmoid(beta * log-ratio to the reference): its gradient is instruction tuning's times
2 sigmoid(-beta * log-ratio), which starts at 1 and falls off as soon as the token has become likelier than under the
reference, the sooner the larger beta is.

Source: Qi et al., "Safety Alignment Should Be Made More Than Just a Few Tokens Deep", 2024 (arXiv 2406.05946), section
4, equation 3 and the betas of its table 3. Departing from it, the positions are counted anew in each answer of a chat.

Axes: T targets.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import torch
from pydantic import Field
from torch.nn.functional import softplus

from burnish.models.chat_template import Encoded, Encoder
from burnish.models.groups import PromptGroup
from burnish.models.logprobs import ScoredGroups
from burnish.records import Record
from burnish.settings import PluginSettings
from burnish.train.conversations import encode_conversation
from burnish.train.engine import Engine
from burnish.train.method import Batch, Loss, Mean, Role
from burnish.train.pairs import REFERENCE

_BETA = "beta"


class ConstrainedSFTSettings(PluginSettings):
    """How tightly tokens are held: `first_beta` the first token of an answer, `early_beta` those after it up to number
    `early_tokens`, `late_beta` all others."""

    kind: Literal["constrained_sft"] = "constrained_sft"
    first_beta: float = Field(default=0.5, gt=0.0, le=100.0)
    early_beta: float = Field(default=2.0, gt=0.0, le=100.0)
    late_beta: float = Field(default=0.1, gt=0.0, le=100.0)
    early_tokens: int = Field(default=5, ge=1, le=1000)


class ConstrainedSFT:
    """Learns to continue each prompt as the data does, the first tokens only as far as they may move."""

    Settings = ConstrainedSFTSettings

    def __init__(self, settings: ConstrainedSFTSettings) -> None:
        self.settings = settings

    @property
    def roles(self) -> frozenset[Role]:
        """The reference."""
        return frozenset({"reference"})

    @property
    def learning_rate_share(self) -> float:
        """All of it: the gradient starts as instruction tuning's."""
        return 1.0

    def encode(self, record: Record, encoder: Encoder) -> Encoded:
        """The conversation, its assistant turns weighted.

        Raises: DataError when the record isn't a conversation.
        """
        return encode_conversation(record, encoder, "constrained_sft")

    def compared(self, rows: Sequence[PromptGroup]) -> Sequence[PromptGroup]:
        """The rows themselves."""
        return rows

    def batches(self, rows: Sequence[PromptGroup], engine: Engine, step: int) -> list[Batch]:
        """The rows, with the reference's log-probabilities and each target's beta beside them."""
        betas_T = torch.tensor([self._beta(place) for row in rows for place in places(row)])
        return [Batch(rows, per_target={REFERENCE: engine.reference(rows), _BETA: betas_T})]

    def loss(self, scored: ScoredGroups) -> Loss:
        """The weighted losses of the targets, summed, and the sum of the weights. `log_ratio_early` says how far the
        held tokens have moved, in nats a token."""
        betas_T = scored.per_target[_BETA]
        ratios_T = scored.logprobs_T - scored.per_target[REFERENCE]
        losses_T = 2 / betas_T * softplus(-betas_T * ratios_T)
        early_T = betas_T != self.settings.late_beta
        moved = Mean(float(ratios_T.detach()[early_T].sum()), float(early_T.sum()))
        return Loss((losses_T * scored.weights_T).sum(), float(scored.weights_T.sum()), {"log_ratio_early": moved})

    def _beta(self, place: int) -> float:
        settings = self.settings
        if place == 1:
            return settings.first_beta
        return settings.early_beta if place <= settings.early_tokens else settings.late_beta


def places(group: PromptGroup) -> Iterator[int]:
    """Which token of its answer each target of the group is, counted from 1; an answer is a run of tokens that weigh in
    the loss."""
    for completion in group.completions:
        place = 0
        for weight in completion.weights:
            place = place + 1 if weight else 0
            if weight:
                yield place

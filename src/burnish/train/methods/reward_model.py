"""A reward model: of two replies to a prompt, which would a person prefer?

Source: Bradley & Terry, "Rank Analysis of Incomplete Block Designs", 1952; as a loss on replies, Ouyang et al.,
"Training language models to follow instructions with human feedback", 2022, equation 1. The centring term: Eisenstein
et al., "Helping or Herding?", 2023, section 3.1 (only differences are learned from, so without it rewards may drift
anywhere). A margin: Touvron et al., "Llama 2", 2023, equation 2.

Axes: C completions, P pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field
from torch.nn.functional import logsigmoid

from burnish.models.chat_template import Encoded, Encoder
from burnish.models.groups import PromptGroup
from burnish.models.logprobs import ScoredGroups
from burnish.records import Record
from burnish.settings import PluginSettings
from burnish.train.engine import Engine
from burnish.train.method import Batch, Loss, Role
from burnish.train.pairs import encode_pair, reward_metrics, sides


class RewardModelSettings(PluginSettings):
    """`label_smoothing` is the share of pairs taken to be the wrong way round. `margin` is by how much a chosen reply's
    reward must be greater before a pair counts as more right than wrong. `centring` is the weight of the term that
    holds a pair's rewards around zero."""

    kind: Literal["reward_model"] = "reward_model"
    label_smoothing: float = Field(default=0.0, ge=0.0, lt=0.5)
    margin: float = Field(default=0.0, ge=0.0, le=100.0)
    centring: float = Field(default=0.01, ge=0.0, le=100.0)


class RewardModel:
    """Learns from pairs a number for each reply. It writes no text: its run ends with its accuracy on held-out pairs,
    and other runs learn from it (`train.method.rewards`)."""

    Settings = RewardModelSettings

    def __init__(self, settings: RewardModelSettings) -> None:
        self.settings = settings

    @property
    def roles(self) -> frozenset[Role]:
        """A head that scores replies."""
        return frozenset({"score"})

    @property
    def learning_rate_share(self) -> float:
        """All of it."""
        return 1.0

    def encode(self, record: Record, encoder: Encoder) -> Encoded:
        """The pair as one group.

        Raises: DataError when the record isn't a pair.
        """
        return encode_pair(record, encoder, "reward_model")

    def compared(self, rows: Sequence[PromptGroup]) -> Sequence[PromptGroup]:
        """None: there is no reference."""
        return ()

    def batches(self, rows: Sequence[PromptGroup], engine: Engine, step: int) -> list[Batch]:
        """The rows as they are."""
        return [Batch(rows)]

    def loss(self, scored: ScoredGroups) -> Loss:
        """The losses of the pairs, summed, and the number of pairs."""
        assert scored.scores_C is not None, "the method's role is score"
        chosen_P, rejected_P = sides(scored.scores_C)
        losses_P = self._losses(chosen_P - rejected_P)
        losses_P = losses_P + self.settings.centring * (chosen_P + rejected_P).square()
        return Loss(losses_P.sum(), float(len(losses_P)), reward_metrics(scored.scores_C))

    def _losses(self, differences_P: torch.Tensor) -> torch.Tensor:
        smoothing, margin = self.settings.label_smoothing, self.settings.margin
        right = -logsigmoid(differences_P - margin)
        return right if not smoothing else (1 - smoothing) * right - smoothing * logsigmoid(-differences_P - margin)

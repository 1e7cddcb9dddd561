"""Distillation by logits: at each token of the rows' replies, the student's distribution is drawn to the teacher's.

The teacher's is computed once, before the first step, and kept as its likeliest tokens; what is left of its probability
counts as one token more. Mixed with it is what the rows say, as in instruction tuning.

Source: Hinton et al., "Distilling the Knowledge in a Neural Network", 2015, section 2.

Axes: T targets, N some of them, V vocabulary, K likeliest tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from pydantic import Field, PositiveInt

from burnish.models.chat_template import Encoded, Encoder
from burnish.models.groups import PromptGroup
from burnish.models.logprobs import ScoredGroups
from burnish.records import Record
from burnish.settings import PluginSettings
from burnish.train.conversations import encode_conversation
from burnish.train.divergences import forward_kl_of_top
from burnish.train.engine import Engine
from burnish.train.method import Batch, Loss, Mean, Role
from burnish.train.teacher import Top

TEACHER = "teacher"


class LogitsSettings(PluginSettings):
    """The loss of a token is `hard_weight` times the negative log-probability of the row's own, and 1 - `hard_weight`
    times the divergence of the teacher's distribution from the student's, both softened by `temperature` (and the
    divergence multiplied by its square, so that its gradient keeps its size). Of the teacher's distribution the
    `top_tokens` likeliest tokens are kept."""

    kind: Literal["logits"] = "logits"
    top_tokens: PositiveInt = 64
    temperature: float = Field(default=1.0, gt=0.0, le=100.0)
    hard_weight: float = Field(default=0.5, ge=0.0, lt=1.0)


class Logits:
    """Learns to think of each token as the teacher does."""

    Settings = LogitsSettings

    def __init__(self, settings: LogitsSettings) -> None:
        self.settings = settings

    @property
    def roles(self) -> frozenset[Role]:
        """The teacher."""
        return frozenset({"teacher"})

    @property
    def learning_rate_share(self) -> float:
        """All of it."""
        return 1.0

    @property
    def top(self) -> Top:
        """What is kept of the teacher's distributions."""
        return Top(self.settings.top_tokens, self.settings.temperature)

    def encode(self, record: Record, encoder: Encoder) -> Encoded:
        """The conversation, its assistant turns weighted.

        Raises: DataError when the record isn't a conversation.
        """
        return encode_conversation(record, encoder, "distill")

    def compared(self, rows: Sequence[PromptGroup]) -> Sequence[PromptGroup]:
        """The rows themselves."""
        return rows

    def batches(self, rows: Sequence[PromptGroup], engine: Engine, step: int) -> list[Batch]:
        """The rows, with the teacher's likeliest tokens beside them."""
        teacher = engine.teacher
        assert teacher is not None, "there is no teacher"

        def reading(logprobs_NV: torch.Tensor, beside: Mapping[str, torch.Tensor]) -> torch.Tensor:
            top_NK, tokens_NK = beside[TEACHER].unbind(1)
            return forward_kl_of_top(top_NK, tokens_NK.long(), teacher.common(logprobs_NV), self.settings.temperature)

        return [Batch(rows, {TEACHER: teacher.likeliest(rows)}, reading=reading)]

    def loss(self, scored: ScoredGroups) -> Loss:
        """The weighted losses of the targets, summed, and the sum of the weights."""
        assert scored.read_T is not None
        hard, count = self.settings.hard_weight, float(len(scored.weights_T))
        kl_T, hard_T = scored.read_T, -scored.logprobs_T
        losses_T = hard * hard_T + (1 - hard) * self.settings.temperature**2 * kl_T
        metrics = {
            "teacher_kl": Mean(float(kl_T.detach().sum()), count),
            "hard_loss": Mean(float(hard_T.detach().sum()), count),
        }
        return Loss((losses_T * scored.weights_T).sum(), float(scored.weights_T.sum()), metrics)

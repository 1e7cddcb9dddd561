"""Odds-ratio preference optimisation: instruction tuning on the chosen reply, and its odds pushed above the rejected
one's, in one loss without a reference.

Source: Hong et al., "ORPO: Monolithic Preference Optimization without Reference Model", 2024, equations 3 to 7, the
probability of a reply being the geometric mean over its tokens. The tuning term is the paper's: a mean over the chosen
reply's tokens, then over pairs, the prompt not counted.

Axes: C completions, P pairs.
"""

from __future__ import annotations

import math
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
from burnish.train.method import Batch, Loss, Mean, Role
from burnish.train.pairs import encode_pair, mean_logprobs, reward_metrics, sides


class ORPOSettings(PluginSettings):
    """`beta` weighs the odds ratio against instruction tuning (the paper's lambda)."""

    kind: Literal["orpo"] = "orpo"
    beta: float = Field(default=0.1, gt=0.0, le=100.0)


class ORPO:
    """Learns the chosen replies, and to tell them from the rejected ones."""

    Settings = ORPOSettings

    def __init__(self, settings: ORPOSettings) -> None:
        self.settings = settings

    @property
    def roles(self) -> frozenset[Role]:
        """None: there is no reference."""
        return frozenset()

    @property
    def learning_rate_share(self) -> float:
        """Half, since it is instruction tuning in the main."""
        return 0.5

    def encode(self, record: Record, encoder: Encoder) -> Encoded:
        """The pair as one group.

        Raises: DataError when the record isn't a pair.
        """
        return encode_pair(record, encoder, "orpo")

    def compared(self, rows: Sequence[PromptGroup]) -> Sequence[PromptGroup]:
        """None: there is no reference."""
        return ()

    def batches(self, rows: Sequence[PromptGroup], engine: Engine, step: int) -> list[Batch]:
        """The rows as they are."""
        return [Batch(rows)]

    def loss(self, scored: ScoredGroups) -> Loss:
        """The losses of the pairs, summed, and the number of pairs."""
        means_C = mean_logprobs(scored)
        log_odds_C = means_C - _log_of_rest(means_C)
        chosen_P, rejected_P = sides(log_odds_C)
        preference_P = -logsigmoid(chosen_P - rejected_P)
        tuning_P = -sides(means_C)[0]
        pairs = float(len(tuning_P))
        metrics = {
            **reward_metrics(self.settings.beta * means_C),
            "chosen_loss": Mean(float(tuning_P.detach().sum()), pairs),
            "log_odds_ratio": Mean(float((chosen_P - rejected_P).detach().sum()), pairs),
        }
        return Loss((tuning_P + self.settings.beta * preference_P).sum(), pairs, metrics)


def _log_of_rest(logprobs: torch.Tensor) -> torch.Tensor:
    """log(1 - exp(x)) for x < 0, without loss of digits at either end; x is kept a little below 0, where it would be
    infinite.

    Source: Mächler, "Accurately computing log(1 - exp(-|a|))", 2012, equation 7.
    """
    safe = logprobs.clamp(max=-1e-6)
    near = safe > -math.log(2.0)
    return torch.where(
        near,
        torch.log(-torch.expm1(torch.where(near, safe, -1.0))),
        torch.log1p(-torch.exp(torch.where(near, -1.0, safe))),
    )

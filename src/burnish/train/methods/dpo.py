"""Direct preference optimisation: the chosen reply's log-ratio to the reference is pushed above the rejected one's.

Source: Rafailov et al., "Direct Preference Optimization", 2023, equation 7 (sigmoid); Mitchell, "A note on DPO with
noisy preferences", 2023 (label smoothing); Azar et al., "A General Theoretical Paradigm to Understand Learning from
Human Preferences", 2023, equation 17 (ipo); Zhao et al., "SLiC-HF", 2023, section 2.2 (hinge); Chowdhury et al.,
"Provably Robust DPO", 2024, equation 12 (robust). For ipo the log-ratios are means over tokens, not sums, so that
long replies don't dominate: its authors' own choice, though the paper doesn't say so.

Axes: C completions, P pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch.nn.functional import logsigmoid

from burnish.models.chat_template import Encoded, Encoder
from burnish.models.groups import PromptGroup
from burnish.models.logprobs import ScoredGroups
from burnish.records import Record
from burnish.settings import PluginSettings
from burnish.train.engine import Engine
from burnish.train.method import Batch, Loss, Role
from burnish.train.pairs import REFERENCE, drift_metrics, encode_pair, reward_metrics, sides


class DPOSettings(PluginSettings):
    """`beta` says how dear moving away from the reference is. `label_smoothing` is the share of pairs taken to be the
    wrong way round; only the losses sigmoid and robust have it."""

    kind: Literal["dpo"] = "dpo"
    loss: Literal["sigmoid", "ipo", "hinge", "robust"] = "sigmoid"
    beta: float = Field(default=0.1, gt=0.0, le=100.0)
    label_smoothing: float = Field(default=0.0, ge=0.0, lt=0.5)

    @model_validator(mode="after")
    def _check(self) -> DPOSettings:
        if self.label_smoothing and self.loss in ("ipo", "hinge"):
            raise ValueError(f"label_smoothing is {self.label_smoothing}, but the loss {self.loss} has none")
        return self


class DPO:
    """Learns from pairs which of two replies is better."""

    Settings = DPOSettings

    def __init__(self, settings: DPOSettings) -> None:
        self.settings = settings

    @property
    def roles(self) -> frozenset[Role]:
        """The reference."""
        return frozenset({"reference"})

    @property
    def learning_rate_share(self) -> float:
        """A fraction: at instruction tuning's rate the policy runs away from the reference."""
        return 0.25

    def encode(self, record: Record, encoder: Encoder) -> Encoded:
        """The pair as one group.

        Raises: DataError when the record isn't a pair.
        """
        return encode_pair(record, encoder, "dpo")

    def compared(self, rows: Sequence[PromptGroup]) -> Sequence[PromptGroup]:
        """The rows themselves."""
        return rows

    def batches(self, rows: Sequence[PromptGroup], engine: Engine, step: int) -> list[Batch]:
        """The rows, with the reference's log-probabilities beside them."""
        return [Batch(rows, per_target={REFERENCE: engine.reference(rows)})]

    def loss(self, scored: ScoredGroups) -> Loss:
        """The losses of the pairs, summed, and the number of pairs."""
        ratios_C = scored.sums(scored.logprobs_T - scored.per_target[REFERENCE])
        chosen_P, rejected_P = sides(ratios_C)
        if self.settings.loss == "ipo":
            chosen_P, rejected_P = sides(ratios_C / scored.sums(torch.ones_like(scored.logprobs_T)))
        losses_P = self._losses(chosen_P - rejected_P)
        wanted_C = torch.arange(scored.num_completions, device=ratios_C.device) % 2 == 0
        metrics = {**reward_metrics(self.settings.beta * ratios_C), **drift_metrics(scored, wanted_C)}
        return Loss(losses_P.sum(), float(len(losses_P)), metrics)

    def _losses(self, difference_P: torch.Tensor) -> torch.Tensor:
        """Losses of differences of log-ratios."""
        beta, wrong = self.settings.beta, self.settings.label_smoothing
        if self.settings.loss == "ipo":
            return (difference_P - 1 / (2 * beta)).square()
        if self.settings.loss == "hinge":
            return torch.relu(1 - beta * difference_P)
        right_P, flipped_P = -logsigmoid(beta * difference_P), -logsigmoid(-beta * difference_P)
        if self.settings.loss == "robust":
            return ((1 - wrong) * right_P - wrong * flipped_P) / (1 - 2 * wrong)
        return (1 - wrong) * right_P + wrong * flipped_P

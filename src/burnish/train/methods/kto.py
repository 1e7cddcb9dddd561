"""Kahneman-Tversky optimisation: replies with a thumbs up are made likelier than a reference point, those with a thumbs
down less likely; no pairs are needed.

Source: Ethayarajh et al., "KTO: Model Alignment as Prospect Theoretic Optimization", 2024, equations 6 and 7. The
reference point is the policy's divergence from the reference, estimated without gradient over the whole step's rows:
each prompt with the completion of the row before it, their mean log-ratio, and at least 0. It is estimated before the
losses are, so that it doesn't depend on how the step is split.

Axes: T targets, C completions (one a row).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field

from burnish.errors import DataError, TrainError
from burnish.models.chat_template import Encoded, Encoder
from burnish.models.groups import Completion, PromptGroup
from burnish.models.logprobs import ScoredGroups
from burnish.records import LabelledCompletion, Record
from burnish.settings import PluginSettings
from burnish.train.engine import Engine
from burnish.train.method import Batch, Loss, Mean, Role
from burnish.train.pairs import REFERENCE, drift_metrics

_POINT = "reference_point"
_LABEL = "label"


class KTOSettings(PluginSettings):
    """`beta` says how dear moving away from the reference is; `desirable_weight` and `undesirable_weight` make up for
    one kind of rows being rarer (the paper: the ratio of their products with the rows' numbers between 1 and 4/3)."""

    kind: Literal["kto"] = "kto"
    beta: float = Field(default=0.1, gt=0.0, le=100.0)
    desirable_weight: float = Field(default=1.0, ge=0.0, le=1000.0)
    undesirable_weight: float = Field(default=1.0, ge=0.0, le=1000.0)


class KTO:
    """Learns from single replies, each with a thumbs up or down."""

    Settings = KTOSettings

    def __init__(self, settings: KTOSettings) -> None:
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
        """The completion after its prompt, with its label.

        Raises: DataError when the record is of another kind.
        """
        if not isinstance(record, LabelledCompletion):
            raise DataError(
                f"{record.source}: got a {type(record).__name__}, expected a reply with a label true or false, which "
                "train.method: kto learns from; nothing was trained",
                hint="give rows with messages (or prompt and completion) and label; pairs are for dpo",
            )
        return encoder.labelled(record)

    def compared(self, rows: Sequence[PromptGroup]) -> Sequence[PromptGroup]:
        """The rows, and each prompt with the completion of the row before."""
        return [*rows, *_mismatched(rows)]

    def batches(self, rows: Sequence[PromptGroup], engine: Engine, step: int) -> list[Batch]:
        """The rows, with the reference's log-probabilities, labels and the reference point beside them. A single row
        that is left over in the last step has the reference point 0.

        Raises: TrainError when steps have one row each, since nothing can be estimated then.
        """
        if len(rows) == 1 and step == 0:
            raise TrainError(
                "train.batch_size: got steps of 1 row, expected at least 2, since kto compares each prompt with "
                "another row's completion; nothing was trained",
                hint="raise train.batch_size",
            )
        point = self._reference_point(_mismatched(rows), engine)
        labels_C = torch.tensor([row.completions[0].label for row in rows])
        return [
            Batch(
                rows,
                per_target={REFERENCE: engine.reference(rows)},
                per_completion={_LABEL: labels_C, _POINT: torch.full((len(rows),), point)},
                metrics={_POINT: Mean(point)},
            )
        ]

    def loss(self, scored: ScoredGroups) -> Loss:
        """The losses of the rows, each weighted by its kind, summed, and the number of rows."""
        settings = self.settings
        wanted_C = scored.per_completion[_LABEL] > 0.5
        ratios_C = scored.sums(scored.logprobs_T - scored.per_target[REFERENCE])
        above_C = ratios_C - scored.per_completion[_POINT]
        signed_C = torch.where(wanted_C, above_C, -above_C)
        weights_C = torch.where(wanted_C, settings.desirable_weight, settings.undesirable_weight)
        losses_C = weights_C * (1 - torch.sigmoid(settings.beta * signed_C))
        metrics = {**self._reward_metrics(ratios_C.detach(), signed_C, wanted_C), **drift_metrics(scored, wanted_C)}
        return Loss(losses_C.sum(), float(len(losses_C)), metrics)

    def _reference_point(self, mismatched: Sequence[PromptGroup], engine: Engine) -> float:
        """The mean log-ratio of unrelated completions, at least 0; 0 where there are none."""
        if not mismatched:
            return 0.0
        ratios_T = engine.logprobs(mismatched) - engine.reference(mismatched)
        weights_T = torch.tensor([w for g in mismatched for w in g.completions[0].weights if w])
        return max(0.0, float((ratios_T * weights_T).sum()) / len(mismatched))

    def _reward_metrics(
        self, ratios_C: torch.Tensor, signed_C: torch.Tensor, wanted_C: torch.Tensor
    ) -> dict[str, Mean]:
        rewards_C, count = self.settings.beta * ratios_C, float(wanted_C.sum())
        return {
            "reward_chosen": Mean(float(rewards_C[wanted_C].sum()), count),
            "reward_rejected": Mean(float(rewards_C[~wanted_C].sum()), len(rewards_C) - count),
            "reward_accuracy": Mean(float((signed_C > 0).sum()), float(len(rewards_C))),
        }


def _mismatched(rows: Sequence[PromptGroup]) -> list[PromptGroup]:
    """Each row's prompt with the completion of the row before (the first row's with the last one's), cut to the length
    of the longest row; nothing for a single row."""
    if len(rows) < 2:
        return []
    longest = max(row.num_tokens for row in rows)
    return [
        PromptGroup(row.prompt, (_cut(other.completions[0], longest - len(row.prompt)),))
        for row, other in zip(rows, (rows[-1], *rows[:-1]), strict=True)
    ]


def _cut(completion: Completion, length: int) -> Completion:
    return Completion(completion.tokens[:length], completion.weights[:length])

"""KTO's loss by hand and against TRL's; its reference point."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

import pytest
import torch

from burnish.errors import DataError, TrainError
from burnish.models.chat_template import Encoder
from burnish.models.groups import Completion, PromptGroup
from burnish.records import Conversation, Source
from burnish.train.engine import Engine
from burnish.train.methods.kto import KTO, KTOSettings

from .scoring import LENGTHS, Example, assert_equal, example, mask, outputs, stub, trl

LABELS = torch.tensor([1.0, 0.0, 1.0, 1.0, 0.0, 0.0])
SETTINGS = KTOSettings(beta=0.5, desirable_weight=1.5, undesirable_weight=0.75)


def columns(point: float) -> dict[str, torch.Tensor]:
    return {"label": LABELS, "reference_point": torch.full((6,), point)}


def row(prompt: Sequence[int], reply: Sequence[int], label: float) -> PromptGroup:
    return PromptGroup(tuple(prompt), (Completion(tuple(reply), (1.0,) * len(reply), label),))


class Surer:
    """A policy that gives every token 0.25 more than the reference, whatever the token."""

    def logprobs(self, groups: Sequence[PromptGroup]) -> torch.Tensor:
        return self.reference(groups) + 0.25

    def reference(self, groups: Sequence[PromptGroup]) -> torch.Tensor:
        return torch.full((sum(group.num_targets for group in groups),), -2.0)


ENGINE = cast(Engine, Surer())


def test_loss_by_hand() -> None:
    given = example()
    ratios = given.sums(given.policy_T.detach() - given.reference_T, range(6)).tolist()
    by_hand = 0.0
    for ratio, label in zip(ratios, LABELS.tolist(), strict=True):
        signed = ratio - 0.2 if label else 0.2 - ratio
        by_hand += (1.5 if label else 0.75) * (1 - 1 / (1 + math.exp(-0.5 * signed)))
    loss = KTO(SETTINGS).loss(given.scored(columns(0.2), group_size=1))
    assert loss.total.item() == pytest.approx(by_hand, rel=1e-5)
    assert loss.weight == 6.0


@pytest.mark.parametrize("kl_logprob", [-1.0, -9.0])
def test_loss_and_gradient_are_trl_s(kl_logprob: float) -> None:
    trainer = trl("trl.trainer.kto_trainer:KTOTrainer")
    given = example()
    kl_logprobs = torch.full((6, max(LENGTHS)), kl_logprob) * mask(range(6))[:, 1:]
    reference_kl = torch.full((6,), -20.0)
    point = max(0.0, float((kl_logprobs.sum(1) - reference_kl).mean()))
    assert (point > 0) == (kl_logprob == -1.0)
    ours = KTO(SETTINGS).loss(given.scored(columns(point), group_size=1))
    assert_equal(ours, _trl_loss(trainer, given, kl_logprobs, reference_kl), given.policy_T)


def test_the_reference_point_is_the_mean_log_ratio_of_unrelated_completions() -> None:
    rows = [row((1, 2), (3, 4), 1.0), row((5,), (6, 7, 8), 0.0), row((9,), (3,), 1.0)]
    mismatched = KTO(SETTINGS).compared(rows)[3:]
    assert [(g.prompt, g.completions[0].tokens) for g in mismatched] == [
        ((1, 2), (3,)),
        ((5,), (3, 4)),
        ((9,), (6, 7, 8)),
    ]
    (batch,) = KTO(SETTINGS).batches(rows, ENGINE, 0)
    assert batch.per_completion["reference_point"].tolist() == pytest.approx([0.25 * (1 + 2 + 3) / 3] * 3)
    assert batch.per_completion["label"].tolist() == [1.0, 0.0, 1.0]


def test_a_mismatched_completion_is_cut_so_that_no_row_becomes_the_longest() -> None:
    rows = [row(range(1, 11), (3,), 1.0), row((5,), (6, 7, 8, 9), 0.0)]
    first = KTO(SETTINGS).compared(rows)[2]
    assert first.completions[0].tokens == (6,)


def test_steps_of_one_row_are_refused_but_one_left_over_is_not() -> None:
    rows = [row((1, 2), (3, 4), 1.0)]
    with pytest.raises(TrainError, match="steps of 1 row"):
        KTO(SETTINGS).batches(rows, ENGINE, 0)
    (batch,) = KTO(SETTINGS).batches(rows, ENGINE, 7)
    assert batch.per_completion["reference_point"].tolist() == [0.0]


def test_conversations_are_refused() -> None:
    with pytest.raises(DataError, match=r"a.jsonl:3: got a Conversation"):
        KTO(SETTINGS).encode(Conversation((), Source("a.jsonl", 3), text="a"), object.__new__(Encoder))


def _trl_loss(trainer: Any, given: Example, kl_logprobs: torch.Tensor, reference_kl: torch.Tensor) -> torch.Tensor:
    self = stub(
        beta=SETTINGS.beta,
        loss_type="kto",
        calculate_KL=True,
        desirable_weight=SETTINGS.desirable_weight,
        undesirable_weight=SETTINGS.undesirable_weight,
        _compute_kl_logps=lambda *_: kl_logprobs.sum(1),
    )
    inputs = {
        "input_ids": mask(range(6)),
        "attention_mask": torch.ones_like(mask(range(6))),
        "completion_mask": mask(range(6)),
        "label": LABELS.bool(),
        "ref_logps": given.sums(given.reference_T, range(6)),
        "ref_KL_logps": reference_kl,
    }
    logprobs = given.padded(given.policy_T, range(6))
    found: torch.Tensor = trainer._compute_loss(self, lambda **_: outputs(logprobs), inputs, False)
    return found

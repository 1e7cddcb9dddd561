"""DPO's losses by hand and against TRL's; what it shows."""

from __future__ import annotations

import math

import pytest
import torch
from pydantic import ValidationError

from burnish.errors import DataError
from burnish.models.chat_template import Encoder
from burnish.models.logprobs import ScoredGroups
from burnish.records import Conversation, Source
from burnish.train.methods.dpo import DPO, DPOSettings

from .scoring import Example, assert_equal, example, mask, outputs, stub, trl

LOSSES = [("sigmoid", 0.0), ("ipo", 0.0), ("hinge", 0.0), ("robust", 0.0), ("robust", 0.2)]
TRL_ORDER = (0, 2, 4, 1, 3, 5)


def method(loss: str = "sigmoid", smoothing: float = 0.0, beta: float = 0.5) -> DPO:
    return DPO(DPOSettings.model_validate({"loss": loss, "label_smoothing": smoothing, "beta": beta}))


def one_pair() -> ScoredGroups:
    """Log-ratios 1.0 (two tokens) for the chosen reply and -1.0 (one token) for the rejected one."""
    return ScoredGroups(
        logprobs_T=torch.tensor([-1.0, -2.0, -5.0]),
        weights_T=torch.ones(3),
        completion_T=torch.tensor([0, 0, 1]),
        num_completions=2,
        group_of_completion_C=torch.tensor([0, 0]),
        per_target={"reference": torch.tensor([-1.5, -2.5, -4.0])},
    )


@pytest.mark.parametrize(
    ("loss", "smoothing", "by_hand"),
    [
        ("sigmoid", 0.0, math.log1p(math.exp(-1.0))),
        ("sigmoid", 0.25, 0.75 * math.log1p(math.exp(-1.0)) + 0.25 * math.log1p(math.exp(1.0))),
        ("ipo", 0.0, (0.5 + 1.0 - 1.0) ** 2),
        ("hinge", 0.0, 0.0),
        ("robust", 0.25, (0.75 * math.log1p(math.exp(-1.0)) - 0.25 * math.log1p(math.exp(1.0))) / 0.5),
    ],
)
def test_losses_by_hand(loss: str, smoothing: float, by_hand: float) -> None:
    found = method(loss, smoothing).loss(one_pair())
    assert float(found.total) == pytest.approx(by_hand, rel=1e-6)
    assert found.weight == 1.0


def test_hinge_by_hand_where_it_isn_t_flat() -> None:
    assert float(method("hinge", beta=0.25).loss(one_pair()).total) == pytest.approx(0.5)


@pytest.mark.parametrize(("loss", "smoothing"), LOSSES)
def test_loss_and_gradient_are_trl_s(loss: str, smoothing: float) -> None:
    trainer = trl("trl.trainer.dpo_trainer:DPOTrainer")
    given = example()
    ours = method(loss, smoothing).loss(given.scored())
    assert_equal(ours, _trl_loss(trainer, given, loss, smoothing), given.policy_T)


def test_what_is_shown_by_hand() -> None:
    shown = {name: mean.total / mean.count for name, mean in method().loss(one_pair()).metrics.items()}
    kl = (2 * (math.exp(0.5) - 1.5) + math.exp(-1.0)) / 3
    assert shown == pytest.approx(
        {
            "reward_chosen": 0.5,
            "reward_rejected": -0.5,
            "reward_margin": 1.0,
            "reward_accuracy": 1.0,
            "log_ratio_chosen": 0.5,
            "log_ratio_rejected": -1.0,
            "kl": kl,
        }
    )


def test_at_the_reference_nothing_is_preferred() -> None:
    given = example()
    at_start = Example(given.reference_T.clone().requires_grad_(), given.reference_T)
    loss = method().loss(at_start.scored())
    assert loss.total.item() / loss.weight == pytest.approx(math.log(2.0))
    assert {mean.total for mean in loss.metrics.values()} == {0.0}


def test_label_smoothing_is_refused_where_it_would_be_ignored() -> None:
    with pytest.raises(ValidationError, match="the loss hinge has none"):
        DPOSettings(loss="hinge", label_smoothing=0.1)


def test_conversations_are_refused() -> None:
    with pytest.raises(DataError, match=r"a.jsonl:3: got a Conversation"):
        method().encode(Conversation((), Source("a.jsonl", 3), text="a"), object.__new__(Encoder))


def _trl_loss(trainer: object, given: Example, loss: str, smoothing: float) -> torch.Tensor:
    reference = given.sums(given.reference_T, TRL_ORDER)
    inputs = {
        "input_ids": mask(TRL_ORDER),
        "attention_mask": torch.ones_like(mask(TRL_ORDER)),
        "completion_mask": mask(TRL_ORDER),
        "ref_chosen_logps": reference[:3],
        "ref_rejected_logps": reference[3:],
    }
    self = stub(
        ld_alpha=None,
        f_divergence_type="reverse_kl",
        loss_types=[loss],
        loss_weights=[1.0],
        beta=0.5,
        label_smoothing=smoothing,
        use_weighting=False,
    )
    logprobs = given.padded(given.policy_T, TRL_ORDER)
    found: torch.Tensor = trainer._compute_loss(self, lambda **_: outputs(logprobs), inputs, False)  # type: ignore[attr-defined]
    return found

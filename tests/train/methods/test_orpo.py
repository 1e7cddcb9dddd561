"""ORPO's loss by hand, and its odds ratio against TRL's."""

from __future__ import annotations

import math

import pytest
import torch

from burnish.models.logprobs import ScoredGroups
from burnish.train.methods.orpo import ORPO, ORPOSettings

from .scoring import LENGTHS, assert_equal, example, stub, trl


def test_loss_by_hand() -> None:
    scored = ScoredGroups(
        logprobs_T=torch.tensor([-0.5, -1.5, -2.0]),
        weights_T=torch.ones(3),
        completion_T=torch.tensor([0, 0, 1]),
        num_completions=2,
        group_of_completion_C=torch.tensor([0, 0]),
    )
    odds = [math.exp(p) / (1 - math.exp(p)) for p in (-1.0, -2.0)]
    by_hand = 1.0 + 0.3 * math.log1p(odds[1] / odds[0])
    loss = ORPO(ORPOSettings(beta=0.3)).loss(scored)
    assert float(loss.total) == pytest.approx(by_hand, rel=1e-6)
    assert loss.weight == 1.0


@pytest.mark.parametrize("spread", [1.0, 30.0])
def test_odds_ratio_and_its_gradient_are_trl_s(spread: float) -> None:
    trainer = trl("trl.experimental.orpo.orpo_trainer:ORPOTrainer")
    given = example(spread=spread)
    lengths = torch.tensor(LENGTHS)
    chosen, rejected = (given.sums(given.policy_T, order) / lengths[list(order)] for order in ((0, 2, 4), (1, 3, 5)))
    theirs = -trainer.odds_ratio_loss(stub(beta=0.1), chosen, rejected)[0].mean() - chosen.mean()
    assert_equal(ORPO(ORPOSettings(beta=0.1)).loss(given.scored()), theirs, given.policy_T)


def test_certain_and_impossible_replies_have_finite_losses_and_gradients() -> None:
    for logprob in (0.0, -1e-9, -200.0):
        policy_T = torch.tensor([logprob, -1.0], requires_grad=True)
        scored = ScoredGroups(policy_T, torch.ones(2), torch.tensor([0, 1]), 2, torch.tensor([0, 0]))
        loss = ORPO(ORPOSettings()).loss(scored)
        (gradient,) = torch.autograd.grad(loss.total, policy_T)
        assert bool(loss.total.isfinite())
        assert bool(gradient.isfinite().all())

"""SimPO's loss by hand and against TRL's."""

from __future__ import annotations

import math

import pytest
import torch

from burnish.models.logprobs import ScoredGroups
from burnish.train.methods.simpo import SimPO, SimPOSettings

from .scoring import LENGTHS, assert_equal, example, stub, trl


def test_loss_by_hand() -> None:
    scored = ScoredGroups(
        logprobs_T=torch.tensor([-0.5, -1.5, -2.0]),
        weights_T=torch.ones(3),
        completion_T=torch.tensor([0, 0, 1]),
        num_completions=2,
        group_of_completion_C=torch.tensor([0, 0]),
    )
    loss = SimPO(SimPOSettings(beta=2.0, gamma=0.5)).loss(scored)
    assert float(loss.total) == pytest.approx(math.log1p(math.exp(-(2.0 * (-1.0 + 2.0) - 0.5))), rel=1e-6)
    assert loss.metrics["reward_margin"].total == pytest.approx(2.0)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_loss_and_gradient_are_trl_s(smoothing: float) -> None:
    trainer = trl("trl.experimental.cpo.cpo_trainer:CPOTrainer")
    given = example()
    lengths = torch.tensor(LENGTHS)
    chosen, rejected = (given.sums(given.policy_T, order) / lengths[list(order)] for order in ((0, 2, 4), (1, 3, 5)))
    self = stub(alpha=0.0, loss_type="simpo", simpo_gamma=1.5, beta=2.0, label_smoothing=smoothing)
    theirs = trainer.cpo_loss(self, chosen, rejected)[0].mean()
    settings = SimPOSettings(beta=2.0, gamma=1.5, label_smoothing=smoothing)
    assert_equal(SimPO(settings).loss(given.scored()), theirs, given.policy_T)

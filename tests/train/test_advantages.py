"""Advantages, losses and divergences against numbers worked by hand."""

from __future__ import annotations

import math

import pytest
import torch

from burnish.train.advantages import (
    adapted,
    clipped_policy_loss,
    clipped_value_loss,
    divergence,
    generalised_advantages,
    group_advantages,
    leave_one_out,
    whitened,
)

GROUPS = torch.tensor([0, 0, 0, 1, 1, 1])
REWARDS = torch.tensor([1.0, 2.0, 6.0, 5.0, 5.0, 5.0])


def close(got: torch.Tensor, expected: list[float], atol: float = 1e-5) -> None:
    torch.testing.assert_close(got, torch.tensor(expected, dtype=torch.float32), atol=atol, rtol=0)


def test_group_advantages_are_centred_and_scaled_by_their_group() -> None:
    # Group 0: mean 3, deviations -2, -1, 3, variance (4 + 1 + 9) / 2 = 7. Group 1 says nothing.
    by = math.sqrt(7) + 1e-4
    close(group_advantages(REWARDS, GROUPS, "group"), [-2 / by, -1 / by, 3 / by, 0, 0, 0])
    close(group_advantages(REWARDS, GROUPS, "none"), [-2, -1, 3, 0, 0, 0])
    # All six: mean 4, squares 9 + 4 + 4 + 1 + 1 + 1 = 20, variance 20 / 5 = 4.
    close(group_advantages(REWARDS, GROUPS, "batch"), [-2 / 2.0001, -1 / 2.0001, 3 / 2.0001, 0, 0, 0])


def test_an_answer_without_a_reward_is_left_out_of_its_group() -> None:
    rewards = torch.tensor([1.0, math.nan, 6.0, math.nan, math.nan, 5.0])
    close(group_advantages(rewards, GROUPS, "none"), [-2.5, 0, 2.5, 0, 0, 0])
    close(leave_one_out(rewards, GROUPS), [-5, 0, 5, 0, 0, 0])


def test_leave_one_out_is_against_the_mean_of_the_others() -> None:
    # 1 - (2 + 6) / 2, 2 - (1 + 6) / 2, 6 - (1 + 2) / 2
    close(leave_one_out(REWARDS, GROUPS), [-3, -1.5, 4.5, 0, 0, 0])


def test_generalised_advantages_run_back_from_each_answers_end() -> None:
    # gamma 0.5, decay 0.5, so each later surprise counts a quarter.
    # Answer 1: rewards 0, 1; values 1, 2. Last surprise 1 - 2 = -1; first 0 + 0.5 * 2 - 1 = 0, plus 0.25 * -1.
    # Answer 2: rewards 0, 0, 4; values 2, 2, 2. 2; 0.5 * 2 - 2 = -1, + 0.5 = -0.5; -1 - 0.125 = -1.125.
    rewards = torch.tensor([0.0, 1.0, 0.0, 0.0, 4.0])
    values = torch.tensor([1.0, 2.0, 2.0, 2.0, 2.0])
    close(generalised_advantages(rewards, values, torch.tensor([2, 3]), 0.5, 0.5), [-0.25, -1.0, -1.125, -0.5, 2.0])
    # Undiscounted and undecayed it is what is yet to come, less the value.
    close(generalised_advantages(rewards, values, torch.tensor([2, 3]), 1.0, 1.0), [0, -1, 2, 2, 2])


def test_whitening_brings_the_variance_to_one() -> None:
    # Mean 3, variance (4 + 1 + 9) / 2 = 7.
    root = math.sqrt(7)
    close(whitened(torch.tensor([1.0, 2.0, 6.0])), [-2 / root, -1 / root, 3 / root])
    close(whitened(torch.tensor([1.0, 2.0, 6.0]), keep_mean=True), [3 - 2 / root, 3 - 1 / root, 3 + 3 / root])
    close(whitened(torch.tensor([4.0])), [0.0])


def test_the_policy_loss_is_clipped_only_where_it_would_gain() -> None:
    ratios = torch.tensor([1.5, 1.5, 0.5, 0.5, 1.1])
    advantages = torch.tensor([2.0, -2.0, 2.0, -2.0, 1.0])
    losses, clipped = clipped_policy_loss(ratios.log(), advantages, 0.2, 0.3)
    close(losses, [-2.6, 3.0, -1.0, 1.6, -1.1])  # 1.3 * 2; 1.5 * 2; 0.5 * 2; 0.8 * 2; 1.1
    assert clipped.tolist() == [True, False, False, True, False]


def test_a_clipped_action_has_no_gradient() -> None:
    log_ratios = torch.tensor([0.5, 0.0], requires_grad=True)
    clipped_policy_loss(log_ratios, torch.tensor([1.0, 1.0]), 0.2, 0.2)[0].sum().backward()
    assert log_ratios.grad is not None
    close(log_ratios.grad, [0.0, -1.0])


def test_the_value_loss_takes_the_greater_error() -> None:
    values, old, returns = torch.tensor([1.0, 2.0, 0.5]), torch.zeros(3), torch.tensor([1.0, 1.0, 3.0])
    # Held at 0.2: errors 0 -> 0.8; 1 -> 0.8; 2.5 -> 2.8. Half the greater one's square.
    losses, held = clipped_value_loss(values, old, returns, 0.2)
    close(losses, [0.32, 0.5, 3.92])
    assert held.tolist() == [True, False, True]


def test_the_divergence_is_never_negative_and_unbiased() -> None:
    # Reference twice and half as likely: 2 - 1 - ln 2, 0.5 - 1 + ln 2.
    logprobs = torch.log(torch.tensor([0.25, 0.5, 0.3]))
    close(divergence(logprobs, torch.log(torch.tensor([0.5, 0.25, 0.3]))), [1 - math.log(2), math.log(2) - 0.5, 0.0])
    shares, others = torch.tensor([0.7, 0.2, 0.1]), torch.tensor([0.2, 0.5, 0.3])
    mean = (shares * divergence(shares.log(), others.log())).sum()
    assert float(mean) == pytest.approx(float((shares * (shares / others).log()).sum()), rel=1e-5)


def test_the_coefficient_follows_the_divergence_within_bounds() -> None:
    assert adapted(0.1, 6.6, 6.0, 0.5) == pytest.approx(0.105)  # a tenth above, half the horizon
    assert adapted(0.1, 60.0, 6.0, 1.0) == pytest.approx(0.12)  # never more than a fifth
    assert adapted(0.1, 0.0, 6.0, 1.0) == pytest.approx(0.08)

"""Which of two replies a model puts above the other, by hand."""

from __future__ import annotations

import math

import pytest

from burnish.evaluate.metrics.preference_accuracy import PreferenceAccuracy, PreferenceAccuracySettings
from burnish.protocols import Compares, Likelihood

BY_REWARD = PreferenceAccuracy(PreferenceAccuracySettings())
BY_LIKELIHOOD = PreferenceAccuracy(PreferenceAccuracySettings(by="likelihood"))


@pytest.mark.parametrize(
    ("chosen", "rejected", "by_reward", "by_likelihood"),
    [
        # Log-ratios 2 and 1; means -4 and -3.
        (Likelihood(-8.0, -10.0, 2), Likelihood(-3.0, -4.0, 1), 1.0, 0.0),
        # Log-ratios -3 and -1; means -2 and -5.
        (Likelihood(-8.0, -5.0, 4), Likelihood(-5.0, -4.0, 1), 0.0, 1.0),
        # Nothing was learned: log-ratios 0, whatever the means.
        (Likelihood(-8.0, -8.0, 4), Likelihood(-5.0, -5.0, 1), 0.5, 1.0),
        # Equal means of unlike sums.
        (Likelihood(-8.0, -9.0, 4), Likelihood(-2.0, -2.5, 1), 1.0, 0.5),
    ],
)
def test_by_hand(chosen: Likelihood, rejected: Likelihood, by_reward: float, by_likelihood: float) -> None:
    assert BY_REWARD.prefers(chosen, rejected) == by_reward
    assert BY_REWARD.prefers(rejected, chosen) == 1.0 - by_reward
    assert BY_LIKELIHOOD.prefers(chosen, rejected) == by_likelihood


def test_what_is_no_number_is_unscored() -> None:
    broken, whole = Likelihood(math.nan, -1.0, 1), Likelihood(-1.0, -1.0, 1)
    for metric in (BY_REWARD, BY_LIKELIHOOD):
        assert metric.prefers(broken, whole) is None
        assert metric.prefers(whole, broken) is None


def test_only_rewards_compare_across_prompts() -> None:
    assert isinstance(BY_REWARD, Compares)
    assert BY_REWARD.name == "preference_accuracy_by_reward"
    assert BY_REWARD.across_prompts
    assert not BY_LIKELIHOOD.across_prompts
    assert BY_REWARD.score("a", "a") is None
    assert BY_REWARD.summary(0.25) == 0.25

"""The bootstrap against theory, and by clusters."""

from __future__ import annotations

import numpy as np
import pytest

from burnish.statistics.bootstrap import mean_interval, resample_mean


def test_interval_is_near_the_normal_one() -> None:
    values = np.random.default_rng(0).normal(2.0, 3.0, size=400)
    low, high = mean_interval(values, seed=1)
    half = 1.96 * values.std() / 20
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.02)


def test_same_seed_same_numbers_other_seed_others() -> None:
    values = np.arange(50) / 50
    assert mean_interval(values, seed=3) == mean_interval(values, seed=3)
    assert mean_interval(values, seed=3) != mean_interval(values, seed=4)


def test_rows_that_always_agree_count_once() -> None:
    single = np.random.default_rng(5).normal(size=100)
    alone = resample_mean(single, np.arange(100), seed=0).interval(0.9)
    copied = resample_mean(np.repeat(single, 4), np.repeat(np.arange(100), 4), seed=0).interval(0.9)
    assert copied == pytest.approx(alone)


def test_p_is_never_zero() -> None:
    resampled = resample_mean(np.full(40, -1.0), np.arange(40), seed=0, resamples=999)
    assert resampled.p_at_least(0.0) == pytest.approx(1 / 1000)
    assert resampled.p_at_least(-1.0) == 1.0


def test_nothing_to_resample() -> None:
    with pytest.raises(ValueError, match="no values"):
        resample_mean([], [], seed=0)

"""Intervals that hold together: against the normal theory, against a single comparison, and their coverage."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from burnish.statistics.simultaneous import simultaneous_intervals


def test_one_comparison_is_the_ordinary_interval_and_one_row() -> None:
    random = np.random.default_rng(1)
    x = random.normal(0.3, 0.5, 400)
    (found,) = simultaneous_intervals(x[:, None], seed=0, reach=10.0)
    error = x.std(ddof=1) / 20
    low = (400 * (x.mean() - 1.96 * error) - abs(x).max()) / 401
    assert found.mean == pytest.approx(x.mean())
    assert found.low == pytest.approx(low, abs=0.1 * error)


def test_independent_comparisons_are_as_wide_as_sidaks_correction() -> None:
    random = np.random.default_rng(2)
    x = random.normal(0.0, 1.0, (2000, 8))
    found = simultaneous_intervals(x, seed=0, reach=10.0)
    expected = norm.ppf(0.5 + 0.95 ** (1 / 8) / 2)
    widths = [(f.high - f.low) / 2 / (x[:, i].std(ddof=1) / np.sqrt(2000)) for i, f in enumerate(found)]
    assert np.mean(widths) == pytest.approx(expected, rel=0.06)


def test_the_same_comparison_twice_costs_nothing() -> None:
    x = np.random.default_rng(3).normal(0.1, 0.4, 200)
    one = simultaneous_intervals(x[:, None], seed=0)[0]
    two = simultaneous_intervals(np.stack([x, x], axis=1), seed=0)
    for found in two:
        assert (found.low, found.high) == pytest.approx((one.low, one.high))


def test_rows_that_never_differ_still_leave_room_for_one_that_does() -> None:
    (found,) = simultaneous_intervals(np.zeros((49, 1)), seed=0)
    assert (found.mean, found.low, found.high) == (0.0, -0.02, 0.02)


def test_a_missing_row_is_in_no_mean() -> None:
    x = np.array([[1.0, 0.0], [0.0, np.nan], [1.0, 1.0], [0.0, np.nan]])
    found = simultaneous_intervals(x, seed=0)
    assert [(f.rows, f.mean) for f in found] == [(4, 0.5), (2, 0.5)]


def test_the_same_numbers_for_the_same_seed() -> None:
    x = np.random.default_rng(4).normal(0, 1, (30, 3))
    assert simultaneous_intervals(x, seed=7) == simultaneous_intervals(x, seed=7)


def test_nothing_to_compare_on_is_an_error() -> None:
    with pytest.raises(ValueError, match="no row"):
        simultaneous_intervals(np.array([[np.nan], [np.nan]]), seed=0)


def test_all_hold_at_once_about_as_often_as_said() -> None:
    """Right and wrong answers of four candidates on 80 rows, the tuned one against three."""
    random = np.random.default_rng(5)
    true = np.array([0.7, 0.6, 0.5, 0.65])
    held = 0
    for trial in range(200):
        right = (random.random((80, 4)) < true).astype(float)
        found = simultaneous_intervals(right[:, :1] - right[:, 1:], seed=trial, resamples=400)
        held += all(f.low <= true[0] - true[i + 1] <= f.high for i, f in enumerate(found))
    assert held >= 184  # 95% of 200, less two standard errors

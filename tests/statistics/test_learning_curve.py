"""The forecast of a learning curve: exact on exact curves, bounded, and honest about the noise of few rows."""

from __future__ import annotations

import numpy as np
import pytest

from burnish.statistics.learning_curve import predict_score


def rows_of(means: list[float], rows: int = 1000) -> np.ndarray:
    """Right and wrong answers with exactly these means, the same rows right first."""
    return np.array([[float(row < round(mean * rows)) for mean in means] for row in range(rows)])


def test_a_power_law_is_continued() -> None:
    sizes = [100, 200, 400]
    curve = [0.9 - 4.0 * n**-0.5 for n in sizes]  # 0.5, 0.617, 0.7
    found = predict_score(sizes, rows_of(curve, 10_000), 800, seed=0)
    assert found.score == pytest.approx(0.9 - 4.0 * 800**-0.5, abs=0.002)
    assert found.gain == pytest.approx(found.score - curve[-1], abs=1e-3)


def test_equal_gains_of_each_doubling_go_on() -> None:
    found = predict_score([50, 100, 200], rows_of([0.2, 0.3, 0.4]), 400, seed=0)
    assert found.score == pytest.approx(0.5, abs=0.005)


def test_each_doubling_that_gains_half_of_the_one_before() -> None:
    found = predict_score([50, 100, 200], rows_of([0.4, 0.6, 0.7]), 400, seed=0)
    assert found.gain == pytest.approx(0.05, abs=0.005)


def test_other_shares_than_halves() -> None:
    sizes = [30, 100, 300]
    found = predict_score(sizes, rows_of([1.0 - 3.0 * n**-0.5 for n in sizes], 10_000), 600, seed=0)
    assert found.score == pytest.approx(1.0 - 3.0 * 600**-0.5, abs=0.005)


def test_a_curve_that_is_flat_or_falls_gains_nothing() -> None:
    assert predict_score([10, 20, 40], rows_of([0.8, 0.8, 0.8]), 80, seed=0).gain == pytest.approx(0.0, abs=1e-9)
    assert predict_score([10, 20, 40], rows_of([0.8, 0.7, 0.6]), 80, seed=0).gain >= 0


def test_nothing_is_better_than_all_right() -> None:
    found = predict_score([10, 20, 40], rows_of([0.2, 0.6, 1.0]), 80, seed=0)
    assert found.score == 1.0
    assert found.interval[1] == 1.0


def test_few_held_out_rows_are_told_by_the_interval() -> None:
    few = predict_score([50, 100, 200], rows_of([0.2, 0.3, 0.4], 20), 400, seed=0)
    many = predict_score([50, 100, 200], rows_of([0.2, 0.3, 0.4], 2000), 400, seed=0)
    assert few.gain_interval[1] - few.gain_interval[0] > 3 * (many.gain_interval[1] - many.gain_interval[0])
    assert many.gain_interval[0] < 0.1 < many.gain_interval[1]


def test_two_points_are_no_curve() -> None:
    with pytest.raises(ValueError, match="three"):
        predict_score([10, 20], rows_of([0.1, 0.2]), 40, seed=0)

"""The published tables, numbers worked by hand, and the false-pass rate over simulated nulls."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import numpy as np
import pytest

from burnish.statistics.paired import (
    Counts,
    holm,
    mcnemar_p,
    newcombe_interval,
    newcombe_intervals,
    noninferiority_p,
    wilson_interval,
)

# Newcombe, Statistics in Medicine 17 (1998) 2635-2650, table III, method 10, 95%: (e, f, g, h), lower, upper.
TABLE_III = [
    ((36, 12, 2, 0), 0.0569, 0.3404),
    ((20, 12, 2, 16), 0.0562, 0.3292),
    ((18, 12, 2, 18), 0.0562, 0.3290),
    ((36, 14, 0, 0), 0.1528, 0.4167),
    ((35, 14, 0, 1), 0.1461, 0.4175),
    ((18, 14, 0, 18), 0.1441, 0.3963),
    ((2, 97, 1, 0), 0.8721, 0.9854),
    ((0, 29, 1, 0), 0.6666, 0.9882),
    ((2, 98, 0, 0), 0.9178, 0.9945),
    ((1, 98, 0, 1), 0.9171, 0.9916),
    ((0, 30, 0, 0), 0.8395, 1.0),
    ((54, 0, 0, 0), -0.0664, 0.0664),
    ((53, 0, 0, 1), -0.0729, 0.0729),
    ((30, 0, 0, 24), -0.0358, 0.0358),
    ((27, 0, 0, 27), -0.0351, 0.0351),
]


@pytest.mark.parametrize(("cells", "lower", "upper"), TABLE_III)
def test_newcombe_gives_the_published_table(cells: tuple[int, int, int, int], lower: float, upper: float) -> None:
    found = newcombe_interval(Counts(*cells), 0.95)
    assert found == pytest.approx((lower, upper), abs=1e-4)


def test_newcombe_turns_round_with_the_models() -> None:
    low, high = newcombe_interval(Counts(20, 12, 2, 16), 0.95)
    assert newcombe_interval(Counts(20, 2, 12, 16), 0.95) == pytest.approx((-high, -low))


def test_newcombe_without_pairs_is_an_error() -> None:
    with pytest.raises(ValueError, match="no pairs"):
        newcombe_interval(Counts(0, 0, 0, 0), 0.95)


def test_wilson_gives_newcombes_published_example() -> None:
    """Newcombe, Statistics in Medicine 17 (1998) 857-872, table I: 81 of 263."""
    low, high = wilson_interval(81, 263, 0.95)
    assert (float(low), float(high)) == pytest.approx((0.2553, 0.3662), abs=5e-5)


@pytest.mark.parametrize(("worse", "better"), [(12, 2), (5, 0), (4, 0), (1, 9), (0, 3), (0, 0), (30, 17)])
def test_mcnemar_is_the_exact_binomial_tail(worse: int, better: int) -> None:
    changed = worse + better
    tail = sum(Fraction(comb(changed, k), 2**changed) for k in range(worse, changed + 1))
    assert float(mcnemar_p(worse, better)) == pytest.approx(float(tail), rel=1e-12)


def test_mcnemar_by_hand() -> None:
    assert float(mcnemar_p(12, 2)) == pytest.approx((91 + 14 + 1) / 16384)
    assert float(mcnemar_p(5, 0)) == pytest.approx(1 / 32)


def test_mcnemar_between_whole_counts_lies_between() -> None:
    assert mcnemar_p(5, 0) < mcnemar_p(4.5, 0) < mcnemar_p(4, 0)


def test_noninferiority_at_margin_zero_is_the_corrected_mcnemar_score() -> None:
    """(5 - 15 + 1/2) / sqrt(20) = -2.1243; its normal tail is 0.01682."""
    assert float(noninferiority_p(5, 15, 100, 0.0)) == pytest.approx(0.01682, abs=5e-6)


def test_noninferiority_with_nothing_changed() -> None:
    """(0 - 3 + 1/2) / sqrt(100 x 0.03 x 0.97) = -1.4655; its normal tail is 0.0714. At margin 0 nothing is shown."""
    assert float(noninferiority_p(0, 0, 100, 0.03)) == pytest.approx(0.0714, abs=5e-5)
    assert float(noninferiority_p(0, 0, 100, 0.0)) == 1.0


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.6, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


@pytest.mark.parametrize("n", [100, 250, 424, 639, 1000])
@pytest.mark.parametrize("margin", [0.03, 0.05, 0.10])
@pytest.mark.parametrize(("base_rate", "better_rate"), [(0.0, 0.0), (0.03, 0.02), (0.5, 0.0), (0.5, 0.1), (0.85, 0.02)])
def test_false_passes_at_the_margin_are_rare(n: int, margin: float, base_rate: float, better_rate: float) -> None:
    """10,000 tuned models whose rate truly rose by exactly the margin: at most 6% of them may pass."""
    worse_rate = better_rate + margin
    cells = [base_rate - better_rate, worse_rate, better_rate, 1 - base_rate - worse_rate]
    both, worse, better, neither = np.random.default_rng(20240501).multinomial(n, cells, size=10_000).T
    _, high = newcombe_intervals(both, worse, better, neither, 0.90)
    passed = (high < margin) & (noninferiority_p(worse, better, n, margin) < 0.05)
    assert passed.mean() <= 0.06


def test_the_newcombe_bound_alone_passes_too_many() -> None:
    """Why the second condition is there: pairs that change in one direction only."""
    both, worse, better, neither = np.random.default_rng(1).multinomial(300, [0.5, 0.03, 0.0, 0.47], size=10_000).T
    _, high = newcombe_intervals(both, worse, better, neither, 0.90)
    assert (high < 0.03).mean() > 0.09


def test_unharmed_models_pass_often_enough() -> None:
    """A gate that passed nothing would have no false passes either: of 639 prompts 2% change by chance."""
    both, worse, better, neither = np.random.default_rng(3).multinomial(639, [0.05, 0.01, 0.01, 0.93], size=10_000).T
    _, high = newcombe_intervals(both, worse, better, neither, 0.90)
    assert ((high < 0.03) & (noninferiority_p(worse, better, 639, 0.03) < 0.05)).mean() > 0.95

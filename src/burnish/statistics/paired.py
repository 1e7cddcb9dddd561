"""Paired yes/no outcomes: intervals and tests for the change of a rate between two models asked the same prompts.

Counts may be floats, because counts that are divided by a design effect (`burnish.statistics.clusters`) go through the
same formulas; with whole counts each formula is the published one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betainc, ndtr, ndtri

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Counts:
    """Pairs by outcome. `both` had the event before and after, `worse` only after, `better` only before, `neither`
    never. "After" is the tuned model, "before" the base."""

    both: float
    worse: float
    better: float
    neither: float

    @property
    def n(self) -> float:
        """All pairs."""
        return self.both + self.worse + self.better + self.neither

    @property
    def difference(self) -> float:
        """Rate after minus rate before; positive when the event became more frequent."""
        return (self.worse - self.better) / self.n

    def scaled(self, factor: float) -> Counts:
        """The same shares with `factor` times as many pairs."""
        return Counts(self.both * factor, self.worse * factor, self.better * factor, self.neither * factor)


def wilson_interval(events: ArrayLike, n: ArrayLike, confidence: float) -> tuple[Floats, Floats]:
    """Two-sided Wilson score interval of a rate, elementwise; `confidence` in (0, 1), `n` > 0.

    Source: Wilson, JASA 22 (1927) 209-212.
    """
    x, m = np.asarray(events, dtype=np.float64), np.asarray(n, dtype=np.float64)
    z = float(ndtri(0.5 + confidence / 2))
    centre = (x + z * z / 2) / (m + z * z)
    half = z / (m + z * z) * np.sqrt(x * (m - x) / m + z * z / 4)
    return np.clip(centre - half, 0.0, 1.0), np.clip(centre + half, 0.0, 1.0)


def newcombe_intervals(
    both: ArrayLike, worse: ArrayLike, better: ArrayLike, neither: ArrayLike, confidence: float
) -> tuple[Floats, Floats]:
    """Two-sided interval of (worse - better) / n, elementwise over tables of pairs with n > 0.

    Wilson intervals of the two rates are combined by squaring and adding, less their correlation phi, whose numerator
    is corrected for continuity where it is positive.

    Source: Newcombe, Statistics in Medicine 17 (1998) 2635-2650, method 10.
    """
    e, f, g, h = (np.asarray(part, dtype=np.float64) for part in (both, worse, better, neither))
    n = e + f + g + h
    after, before = (e + f) / n, (e + g) / n
    low_after, high_after = wilson_interval(e + f, n, confidence)
    low_before, high_before = wilson_interval(e + g, n, confidence)
    product = e * h - f * g
    numerator = np.where(product > 0, np.maximum(product - n / 2, 0.0), product)
    squared = (e + f) * (g + h) * (e + g) * (f + h)
    phi = np.where(squared > 0, numerator / np.sqrt(np.where(squared > 0, squared, 1.0)), 0.0)
    down, up = after - low_after, high_after - after
    base_down, base_up = before - low_before, high_before - before
    below = np.sqrt(np.maximum(down**2 - 2 * phi * down * base_up + base_up**2, 0.0))
    above = np.sqrt(np.maximum(up**2 - 2 * phi * up * base_down + base_down**2, 0.0))
    difference = (f - g) / n
    return np.maximum(difference - below, -1.0), np.minimum(difference + above, 1.0)


def newcombe_interval(counts: Counts, confidence: float) -> tuple[float, float]:
    """`newcombe_intervals` for one table.

    Raises: ValueError when there are no pairs.
    """
    if counts.n <= 0:
        raise ValueError("no pairs, so there is no interval")
    low, high = newcombe_intervals(counts.both, counts.worse, counts.better, counts.neither, confidence)
    return float(low), float(high)


def mcnemar_p(worse: ArrayLike, better: ArrayLike) -> Floats:
    """Exact one-sided p of "the event became more frequent": P(X >= worse) for X ~ Binomial(worse + better, 1/2), which
    is the incomplete beta function I_1/2(worse, better + 1), so that it is defined between whole counts too. 1 where
    nothing became worse.

    Source: McNemar, Psychometrika 12 (1947) 153-157, in its exact conditional form.
    """
    f, g = np.asarray(worse, dtype=np.float64), np.asarray(better, dtype=np.float64)
    tail = betainc(np.where(f > 0, f, 1.0), g + 1, 0.5)
    result: Floats = np.where(f > 0, tail, 1.0)
    return result


def noninferiority_p(worse: ArrayLike, better: ArrayLike, n: ArrayLike, margin: float) -> Floats:
    """One-sided p of "the rate rose by less than `margin`", elementwise: Tango's score test of the null that it rose by
    `margin` (in [0, 1)) or more, with half a pair added to the rise for continuity.

    It stands beside Newcombe's interval because that interval's upper bound alone is too low where pairs change in
    one direction only: over 902 cells of n, rates and discordance its false-pass rate at the margin exceeds 6% in 136
    cells and reaches 13%; both conditions together stay under 5% in every one.

    Source: Tango, Statistics in Medicine 17 (1998) 891-908, equations 5 to 8; the continuity correction is ours.
    """
    f, g, m = (np.asarray(part, dtype=np.float64) for part in (worse, better, n))
    rise = f - g
    linear = -f - g + (2 * m - rise) * margin
    constant = -g * margin * (1 - margin)
    better_rate = (np.sqrt(linear**2 - 8 * m * constant) - linear) / (4 * m)
    variance = m * (2 * better_rate + margin * (1 - margin))
    distance = rise - m * margin + 0.5
    score = distance / np.sqrt(np.where(variance > 0, variance, 1.0))
    result: Floats = np.where(variance > 0, ndtr(score), 1.0)
    return result


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values, in the order given; comparing them with alpha holds the family-wise error at alpha.

    Source: Holm, Scandinavian Journal of Statistics 6 (1979) 65-70.
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted = [1.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted

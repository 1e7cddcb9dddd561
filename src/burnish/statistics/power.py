"""What a comparison of this size could have seen, and how many more prompts would decide it."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.special import bdtrc, ndtri
from scipy.stats import binom

POWER = 0.8
MOST_PROMPTS = 1_000_000


def smallest_rise(n: float, better_rate: float, alpha: float) -> float | None:
    """Smallest true rise of the event's rate that the exact McNemar test at `alpha` catches with 80% power among `n`
    pairs, if a share `better_rate` of them changes the other way. None when even the largest rise would be missed.

    The power is exact: summed over the number of changed pairs, which is binomial.
    """
    pairs = math.floor(n)
    low, high = 0.0, 1.0 - 2 * better_rate
    if pairs < 1 or high <= 0 or _power(pairs, better_rate, better_rate + high, alpha) < POWER:
        return None
    for _ in range(20):
        middle = (low + high) / 2
        if _power(pairs, better_rate, better_rate + middle, alpha) < POWER:
            low = middle
        else:
            high = middle
    return high


def _power(pairs: int, better_rate: float, worse_rate: float, alpha: float) -> float:
    changed = np.arange(pairs + 1)
    share = better_rate + worse_rate
    # The smallest count of pairs gone worse, among `changed`, that the test calls significant.
    needed = binom.isf(alpha, changed, 0.5) + 1
    caught = bdtrc(needed - 1, changed, worse_rate / share)
    return float(np.sum(binom.pmf(changed, pairs, share) * np.where(needed > changed, 0.0, caught)))


def smallest_gain(deviation: float, n: float, alpha: float) -> float | None:
    """Smallest true mean gain that a one-sided test at `alpha` sees with 80% power among `n` pairs whose differences
    have this standard deviation (normal approximation). None without pairs."""
    if n < 1:
        return None
    return float((ndtri(1 - alpha) + ndtri(POWER)) * deviation / math.sqrt(n))


def more_pairs(n: int, decided: Callable[[float], bool]) -> int | None:
    """How many further pairs would decide if they came out like the `n` (at least 1) at hand: the smallest number for
    which `decided` holds, or None when no total up to a million does.

    `decided` is asked whether a sample of so many times the size, with the same shares, would be decided.
    """
    low, high = n, n + 1
    while not decided(high / n):
        low, high = high, high + 2 * (high - n)
        if high > MOST_PROMPTS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        if decided(middle / n):
            high = middle
        else:
            low = middle
    return high - n

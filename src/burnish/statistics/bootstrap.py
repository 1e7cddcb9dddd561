"""Paired bootstrap of a mean difference, by cluster. The same numbers on every machine: only uniform draws are used."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from burnish.statistics.paired import Floats

RESAMPLES = 10_000
_DRAWS_AT_ONCE = 4_000_000


@dataclass(frozen=True, slots=True)
class Resampled:
    """Sorted means of the resamples, with the mean of the sample itself."""

    mean: float
    means: Floats

    def interval(self, confidence: float) -> tuple[float, float]:
        """Two-sided percentile interval."""
        tail = 50 * (1 - confidence)
        low, high = np.percentile(self.means, [tail, 100 - tail])
        return float(low), float(high)

    def p_at_least(self, value: float) -> float:
        """Share of resamples whose mean is at or above `value`, the sample itself counted among them, so never 0."""
        return (1 + float(np.count_nonzero(self.means >= value))) / (1 + len(self.means))


def resample_mean(values: ArrayLike, clusters: ArrayLike, *, seed: int, resamples: int = RESAMPLES) -> Resampled:
    """Bootstrap the mean of `values` (for paired data: the differences), drawing whole clusters with replacement.

    Raises: ValueError when there are no values.

    Source: Davison and Hinkley, Bootstrap Methods and their Application (1997) 2.4 and 3.8; percentile interval.
    """
    x, ids = np.asarray(values, dtype=np.float64), np.asarray(clusters, dtype=np.int64)
    if len(x) == 0:
        raise ValueError("no values to resample")
    sums = np.bincount(ids, weights=x)
    sizes = np.bincount(ids).astype(np.float64)
    random = np.random.Generator(np.random.PCG64(seed))
    means = np.empty(resamples)
    at_once = max(1, _DRAWS_AT_ONCE // len(sums))
    for start in range(0, resamples, at_once):
        count = min(at_once, resamples - start)
        drawn: NDArray[np.int64] = (random.random((count, len(sums))) * len(sums)).astype(np.int64)
        means[start : start + count] = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    means.sort()
    return Resampled(float(x.mean()), means)


def mean_interval(values: ArrayLike, *, seed: int, confidence: float = 0.95) -> tuple[float, float]:
    """Two-sided percentile interval of the mean of independent values.

    Raises: ValueError when there are none.
    """
    x = np.asarray(values, dtype=np.float64)
    return resample_mean(x, np.arange(len(x)), seed=seed).interval(confidence)

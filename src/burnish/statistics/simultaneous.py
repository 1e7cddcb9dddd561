"""Intervals of several mean differences that hold together: paired by row, corrected for their number by the bootstrap.

Rows are drawn jointly, so that comparisons that share a candidate stay as correlated as they are, which costs less
width than correcting each as if it stood alone.

Axes: R rows, C comparisons, B resamples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from burnish.statistics.bootstrap import RESAMPLES
from burnish.statistics.paired import Floats

_DRAWS_AT_ONCE = 4_000_000


@dataclass(frozen=True, slots=True)
class Difference:
    """The mean of a comparison's `rows` differences, and its end points; all of them cover their true values at once
    with the confidence asked for."""

    rows: int
    mean: float
    low: float
    high: float


def simultaneous_intervals(
    differences_RC: ArrayLike, *, seed: int, reach: float = 1.0, confidence: float = 0.95, resamples: int = RESAMPLES
) -> list[Difference]:
    """An interval for the mean of each column; NaN is a row that one of the two has no score for. `reach` is the
    largest difference that a row can have.

    The widest standardised error of a resample says how wide all intervals are. A bootstrap knows only changes that it
    has seen, so each end is taken with one row more, as far off as the largest seen (`reach`, where none was seen).

    Raises: ValueError when a column has no row.

    Source: Davison and Hinkley, Bootstrap Methods and their Application (1997), 4.2.4 and 5.2; the further row is ours.
    """
    x_RC = np.asarray(differences_RC, dtype=np.float64)
    known_RC = ~np.isnan(x_RC)
    counts_C = known_RC.sum(axis=0)
    if x_RC.ndim != 2 or not counts_C.all():
        raise ValueError("a comparison has no row to compare on")
    values_RC = np.where(known_RC, x_RC, 0.0)
    means_C = values_RC.sum(axis=0) / counts_C
    spread_C = np.sqrt((np.where(known_RC, x_RC - means_C, 0.0) ** 2).sum(axis=0) / np.maximum(counts_C - 1, 1))
    errors_C = spread_C / np.sqrt(counts_C)
    width_C = _quantile(values_RC, known_RC, means_C, errors_C, seed, confidence, resamples) * errors_C
    furthest_C = np.abs(values_RC).max(axis=0)
    furthest_C = np.where(furthest_C > 0, furthest_C, reach)
    low_C = (counts_C * (means_C - width_C) - furthest_C) / (counts_C + 1)
    high_C = (counts_C * (means_C + width_C) + furthest_C) / (counts_C + 1)
    return [
        Difference(int(n), float(mean), float(max(low, -reach)), float(min(high, reach)))
        for n, mean, low, high in zip(counts_C, means_C, low_C, high_C, strict=True)
    ]


def _quantile(
    values_RC: Floats,
    known_RC: NDArray[np.bool_],
    means_C: Floats,
    errors_C: Floats,
    seed: int,
    confidence: float,
    resamples: int,
) -> float:
    """The largest standardised error over the comparisons, at this quantile of the resamples."""
    changing = errors_C > 0
    if not changing.any():
        return 0.0
    values, known = values_RC[:, changing], known_RC[:, changing].astype(np.float64)
    random = np.random.Generator(np.random.PCG64(seed))
    rows = len(values)
    widest_B = np.empty(resamples)
    at_once = max(1, _DRAWS_AT_ONCE // rows)
    for start in range(0, resamples, at_once):
        count = min(at_once, resamples - start)
        drawn = (random.random((count, rows)) * rows).astype(np.int64)
        times_BR = np.zeros((count, rows))
        np.add.at(times_BR, (np.arange(count)[:, None], drawn), 1.0)
        sizes_BC = np.maximum(times_BR @ known, 1.0)
        off_BC = np.abs(times_BR @ values / sizes_BC - means_C[changing]) / errors_C[changing]
        widest_B[start : start + count] = off_BC.max(axis=1)
    return float(np.quantile(widest_B, confidence))

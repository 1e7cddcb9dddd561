"""What more rows would do: a power law through the scores of one task at several numbers of training rows.

score(n) = a - b n^-c with b >= 0: each doubling gains a fixed part of what the doubling before it did, down to c = 0,
where every doubling gains the same. The resamples draw held-out rows, jointly for all points of the curve. Chance that
another training run of the same rows would have is not in it.

Axes: R held-out rows, P points of the curve, B resamples, E exponents tried.

Source: Hestness et al., "Deep Learning Scaling is Predictable, Empirically" (2017), section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from burnish.statistics.paired import Floats

_EXPONENTS = np.linspace(0.0, 3.0, 61)
_RESAMPLES = 4000


@dataclass(frozen=True, slots=True)
class Prediction:
    """The score at another number of rows, and its gain on the curve's last point; intervals are two-sided."""

    score: float
    interval: tuple[float, float]
    gain: float
    gain_interval: tuple[float, float]


def predict_score(
    sizes: Sequence[int],
    scores_RP: ArrayLike,
    at: int,
    *,
    seed: int,
    bounds: tuple[float, float] = (0.0, 1.0),
    confidence: float = 0.95,
) -> Prediction:
    """The score at `at` rows, from every held-out row's score at the `sizes` (ascending, three or more). What is
    predicted stays within `bounds`.

    Raises: ValueError when there are fewer than three sizes, or no rows.
    """
    scores = np.asarray(scores_RP, dtype=np.float64)
    if len(sizes) < 3 or scores.ndim != 2 or not len(scores):
        raise ValueError("a curve takes three sizes and at least one held-out row")
    random = np.random.Generator(np.random.PCG64(seed))
    drawn = (random.random((_RESAMPLES, len(scores))) * len(scores)).astype(np.int64)
    times_BR = np.zeros((_RESAMPLES, len(scores)))
    np.add.at(times_BR, (np.arange(_RESAMPLES)[:, None], drawn), 1.0)
    means_BP = np.vstack([scores.mean(axis=0), times_BR @ scores / len(scores)])
    predicted_B = np.clip(_predicted(np.asarray(sizes, dtype=np.float64), means_BP, float(at)), *bounds)
    gains_B = predicted_B - means_BP[:, -1]
    tail = 50 * (1 - confidence)
    low, high = np.percentile(predicted_B[1:], [tail, 100 - tail])
    gain_low, gain_high = np.percentile(gains_B[1:], [tail, 100 - tail])
    return Prediction(
        float(predicted_B[0]), (float(low), float(high)), float(gains_B[0]), (float(gain_low), float(gain_high))
    )


def _predicted(sizes_P: Floats, means_BP: Floats, at: float) -> Floats:
    """The score at `at` of the best-fitting curve, for each row of means; the smallest exponent among equal fits."""
    relative_P, there = sizes_P / sizes_P[-1], at / sizes_P[-1]
    best_B = np.full(len(means_BP), np.inf)
    predicted_B = means_BP[:, -1].copy()
    centred_BP = means_BP - means_BP.mean(axis=1, keepdims=True)
    for exponent in _EXPONENTS:
        basis_P, target = _basis(relative_P, exponent), _basis(np.array([there]), exponent)[0]
        middle = basis_P.mean()
        around_P = basis_P - middle
        slope_B = np.maximum(centred_BP @ around_P / (around_P @ around_P), 0.0)
        off_B = ((centred_BP - slope_B[:, None] * around_P) ** 2).sum(axis=1)
        better = off_B < best_B - 1e-12
        best_B = np.where(better, off_B, best_B)
        fitted_B = means_BP.mean(axis=1) + slope_B * (target - middle)
        predicted_B = np.where(better, fitted_B, predicted_B)
    return predicted_B


def _basis(relative: Floats, exponent: float) -> Floats:
    """What grows with n: -n^-c, and the logarithm in place of c = 0."""
    grown: Floats = np.log(relative) if exponent == 0 else -(relative**-exponent)
    return grown

"""Rows that lie close together in a model's space and have higher values than chance gives such a group.

Null: values are dealt out among rows of like length as if they had nothing to do with where these lie; the largest
score over all neighbourhoods of all sizes under such dealing says what chance gives. Knows nothing of texts, nor of
what the values are.

Source: Kulldorff, "A spatial scan statistic", 1997, with ranks for counts and neighbours for circles; Westfall and
Young, 1993, for the maximum under permutation.

Axes: R rows, D dimensions, K neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import gumbel_r, norm, rankdata

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_DIMENSIONS = 32
_STRATA = 4
_GROWTH = 1.5
_MOST = 0.15  # of the rows: a larger part is what the corpus is
_PERMUTATIONS = 40
_DRAWS = 100


@dataclass(frozen=True)
class Near:
    """A group: its rows, nearest to its middle first, its score, and the chance of any group that scores so."""

    rows: Ints
    score: float
    p_value: float


@dataclass(frozen=True)
class Chance:
    """The Gumbel distribution, fitted by moments, of the best score that chance alone gives."""

    location: float
    scale: float

    def p_value(self, score: float) -> float:
        """The chance that any neighbourhood at all would reach `score`."""
        return float(gumbel_r.sf(score, self.location, self.scale))


class Space:
    """Rows by what the model holds of them: the leading components of their states, scaled alike, as unit vectors."""

    def __init__(self, states_RD: NDArray[np.float32], value_R: Floats, length_R: Ints, least: int) -> None:
        self._unit_RD = whitened(states_RD)
        self._stratum_R = _strata(length_R)
        # Ranks are over all rows: within strata a group would be measured by itself, where it is most of its stratum.
        self._score_R = norm.ppf((rankdata(value_R) - 0.5) / len(value_R))
        most = max(least, int(_MOST * len(length_R)))
        steps = int(np.log(max(most / least, 1.0)) / np.log(_GROWTH)) + 1
        self._sizes = np.unique([*(least * _GROWTH ** np.arange(steps)).astype(np.int64), most])
        self._near_RK = _neighbours(self._unit_RD, int(self._sizes[-1]))

    def chance(self, rng: np.random.Generator) -> Chance:
        """What the best neighbourhood scores when values are dealt out anew within strata of length."""
        order = np.argsort(self._stratum_R, kind="stable")
        largest = []
        for _ in range(_PERMUTATIONS):
            dealt = np.empty_like(self._score_R)
            dealt[order] = self._score_R[np.lexsort((rng.random(len(dealt)), self._stratum_R))]
            largest.append(float(self._scan(dealt).max()))
        scale = max(float(np.std(largest, ddof=1)), 1e-3) * np.sqrt(6) / np.pi
        return Chance(float(np.mean(largest)) - np.euler_gamma * scale, float(scale))

    def groups(self, chance: Chance, p_value: float) -> Iterator[Near]:
        """The groups that chance does not explain, the surest first, none sharing a row with one before."""
        scores = self._score_R.copy()
        while True:
            found = self._scan(scores)
            seed, size = np.unravel_index(int(found.argmax()), found.shape)
            rows = self._near_RK[seed, : self._sizes[size]]
            p = chance.p_value(float(found[seed, size]))
            if p >= p_value:
                return
            rows = self._centred(rows, scores)
            yield Near(rows, float(found[seed, size]), p)
            scores[rows] = -2.0  # no later group scores because of these

    def _scan(self, scores_R: Floats) -> Floats:
        """Of every row's neighbourhoods, the sum of scores over the root of their size, (R, sizes)."""
        sums = np.cumsum(scores_R[self._near_RK], axis=1)[:, self._sizes - 1]
        return np.asarray(sums / np.sqrt(self._sizes))

    def _centred(self, rows: Ints, scores_R: Floats) -> Ints:
        """The best neighbourhood of a group's own middle."""
        middle_D = self._unit_RD[rows].mean(axis=0)
        nearest = np.argsort(-(self._unit_RD @ middle_D), kind="stable")[: self._sizes[-1]]
        sums = np.cumsum(scores_R[nearest]) / np.sqrt(np.arange(1, len(nearest) + 1))
        least = int(self._sizes[0])
        return nearest[: least + int(sums[least - 1 :].argmax())]


def whitened(states_RD: NDArray[np.float32]) -> NDArray[np.float32]:
    """The states' leading components, scaled alike, as unit vectors."""
    centred = states_RD - states_RD.mean(axis=0)
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    kept = left[:, : min(_DIMENSIONS, len(values))]
    length = np.linalg.norm(kept, axis=1, keepdims=True)
    return np.asarray(kept / np.maximum(length, 1e-9), dtype=np.float32)


def excess(unit_RD: NDArray[np.float32], group: Ints, rng: np.random.Generator) -> float:
    """How much more alike the rows of a group are than random groups as large, in standard deviations of these."""
    null = [_likeness(unit_RD[rng.choice(len(unit_RD), len(group), replace=False)]) for _ in range(_DRAWS)]
    return (_likeness(unit_RD[group]) - float(np.mean(null))) / max(float(np.std(null)), 1e-9)


def _likeness(unit_RD: NDArray[np.float32]) -> float:
    """The mean product of two rows."""
    count = len(unit_RD)
    return float((np.square(unit_RD.sum(axis=0)).sum() - count) / (count * (count - 1)))


def _strata(length_R: Ints) -> Ints:
    """Four parts by length; rows of one length are in one part."""
    edges = np.unique(np.quantile(length_R, np.linspace(0, 1, _STRATA + 1)[1:-1]))
    return np.asarray(np.searchsorted(edges, length_R, side="left"), dtype=np.int64)


def _neighbours(unit_RD: NDArray[np.float32], most: int) -> Ints:
    """Every row's `most` nearest rows, itself first, (R, K)."""
    found = np.empty((len(unit_RD), most), dtype=np.int64)
    for start in range(0, len(unit_RD), 512):
        likeness = unit_RD[start : start + 512] @ unit_RD.T
        part = np.argpartition(-likeness, most - 1, axis=1)[:, :most]
        order = np.argsort(-np.take_along_axis(likeness, part, axis=1), axis=1, kind="stable")
        found[start : start + 512] = np.take_along_axis(part, order, axis=1)
    return found

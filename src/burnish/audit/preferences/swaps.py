"""Do the labels of a group of pairs go against what is expected, more than any group's would by chance?

Null: among pairs of which a like margin is expected, labels contradict it in rows that have nothing to do with the
group: whether a label agrees is dealt out anew within strata of the margin's size.
Source: Westfall and Young, "Resampling-Based Multiple Testing", 1993, for the maximum over groups; Chernoff, 1952, for
the bound that makes small and large groups comparable.

N pairs, C groups, S strata, P permutations.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from burnish.audit.mining.chance import Chance, gumbel
from burnish.audit.mining.tokens import Ints

Floats = NDArray[np.float64]

_STRATA = 12
_ROWS_OF_A_STRATUM = 40
_TILTS = (0.25, 0.5, 1.0, 1.5, 2.5)
_AT_ONCE = 20
_SIMULATED, _HARDLY = 2000, 0.02


class Labels:
    """The labels of N pairs beside their expected margins: whether each agrees (`agrees_N`, 1 or -1), and how often
    labels of its stratum contradict (`rate_N`, at most a half)."""

    def __init__(self, margin_N: Floats) -> None:
        strata = int(np.clip(len(margin_N) // _ROWS_OF_A_STRATUM, 1, _STRATA))
        size = np.abs(margin_N)
        edges = np.quantile(size, np.arange(1, strata) / strata)
        self._stratum_N: Ints = np.searchsorted(edges, size).astype(np.int64)
        self.agrees_N: Floats = np.where(margin_N >= 0, 1.0, -1.0)
        against = np.bincount(self._stratum_N, weights=self.agrees_N < 0, minlength=strata)
        whole = np.bincount(self._stratum_N, minlength=strata)
        rate = (against + 1.0) / (whole + 2.0)
        self.rate_N: Floats = np.minimum(rate, 0.5)[self._stratum_N]

    @property
    def odds_N(self) -> Floats:  # noqa: N802 - N is the axis
        """N log odds that a label agrees: what a contradiction weighs."""
        return np.asarray(np.log((1 - self.rate_N) / self.rate_N), dtype=np.float64)

    def evidence(self, leaning: sparse.csc_matrix) -> Floats:
        """C nats of evidence that labels lean the way that `leaning` (N x C) weighs them: positive where agreement
        counts for the group, negative where contradiction does."""
        return self._nats(leaning, self._limits(leaning), self.agrees_N[:, None])[:, 0]

    def sound(self, rows: Ints, rng: np.random.Generator) -> bool:
        """Whether these rows' labels agree with what is expected more than turned labels would: hardly any of them
        would agree as much."""
        odds, rate = self.odds_N[rows], self.rate_N[rows]
        agrees = np.where(rng.random((_SIMULATED, len(rows))) < rate, 1.0, -1.0)
        return float(np.mean(agrees @ odds >= self.agrees_N[rows] @ odds)) < _HARDLY

    def chance(self, leaning: sparse.csc_matrix, permutations: int, rng: np.random.Generator) -> Chance:
        """The largest evidence over all groups that chance alone gives."""
        limits = self._limits(leaning)
        order = np.argsort(self._stratum_N, kind="stable")
        largest: list[float] = []
        for _ in range(0, permutations, _AT_ONCE):
            dealt = np.empty((len(order), _AT_ONCE))
            for at in range(_AT_ONCE):
                shuffled = np.lexsort((rng.random(len(order)), self._stratum_N))
                dealt[order, at] = self.agrees_N[shuffled]
            largest += self._nats(leaning, limits, dealt).max(axis=0, initial=0.0).tolist()
        return gumbel(largest)

    def _limits(self, leaning: sparse.csc_matrix) -> Floats:
        """Tilts x C: the logarithm of what each tilted sum is expected to be."""
        rate, weight = self.rate_N[leaning.indices], leaning.data
        limits = np.zeros((len(_TILTS), leaning.shape[1]))
        for at, tilt in enumerate(_TILTS):
            value = np.log((1 - rate) * np.exp(tilt * weight) + rate * np.exp(-tilt * weight))
            limits[at] = sparse.csc_matrix((value, leaning.indices, leaning.indptr), shape=leaning.shape).sum(axis=0)
        return limits

    @staticmethod
    def _nats(leaning: sparse.csc_matrix, limits: Floats, agrees_NP: Floats) -> Floats:
        total_CP = np.asarray(leaning.T @ agrees_NP)
        nats_CP = np.zeros_like(total_CP)
        for tilt, limit_C in zip(_TILTS, limits, strict=True):
            np.maximum(nats_CP, tilt * total_CP - limit_C[:, None], out=nats_CP)
        return nats_CP

"""What the strongest pair looks like when replies are dealt out at random within strata, and how likely a pair as
strong
as one that was found would be then.

Source: Westfall and Young, "Resampling-Based Multiple Testing", 1993 (the maximum over all tests under permutation);
the maxima's tail is a Gumbel distribution fitted by its moments, since few permutations can't reach small p.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from burnish.audit.mining.features import Columns
from burnish.audit.mining.pairs import screen, within_strata
from burnish.audit.mining.tokens import Ints

_ROWS = 2500  # that stand for a larger corpus
_LEAST = 4
_NATS = 3.0
_CONSIDERED = 500
_EULER = 0.5772156649015329


@dataclass(frozen=True)
class Chance:
    """The Gumbel distribution of the largest evidence (nats) that chance alone gives over all pairs."""

    location: float
    scale: float
    permutations: int

    def p_value(self, nats: float) -> float:
        """The chance that any pair at all would reach `nats`."""
        return float(-np.expm1(-np.exp(-min((nats - self.location) / self.scale, 700.0))))


def chance(prompts: Columns, replies: Columns, stratum_N: Ints, permutations: int, rng: np.random.Generator) -> Chance:
    """Deal the replies out anew within strata `permutations` times, and fit the maxima.

    A large corpus is stood for by some of its rows. The evidence is close to -log p, so that its maximum over more
    pairs
    lies higher by the logarithm of how many times more there are.
    """
    pairs_in_all = prompts.matrix.shape[1] * replies.matrix.shape[1]
    if len(stratum_N) > _ROWS:
        some = rng.choice(len(stratum_N), _ROWS, replace=False)
        prompts, replies, stratum_N = _of_rows(prompts, some), _of_rows(replies, some), stratum_N[some]
    more = np.log(max(pairs_in_all / max(prompts.matrix.shape[1] * replies.matrix.shape[1], 1), 1.0))
    largest, said = [], replies.matrix.tocsr()
    order = np.argsort(stratum_N, kind="stable")
    for _ in range(permutations):
        dealt = np.empty(len(stratum_N), dtype=np.int64)
        dealt[order] = np.lexsort((rng.random(len(stratum_N)), stratum_N))
        other = replace(replies, matrix=said[dealt].tocsc())
        pairs = screen(prompts, other, _LEAST, 0.0, _NATS, _CONSIDERED)
        largest.append(float(np.max(within_strata(pairs, prompts, other, stratum_N).nats_P, initial=_NATS)))
    return gumbel(largest, float(more))


def gumbel(largest: Sequence[float], more: float = 0.0) -> Chance:
    """The distribution of maxima such as these, moved up by `more` nats. A spread below one nat is taken as one."""
    spread = max(float(np.std(largest, ddof=1)) if len(largest) > 1 else 0.0, 1.0)
    scale = spread * np.sqrt(6) / np.pi
    return Chance(float(np.mean(largest)) + more - _EULER * scale, float(scale), len(largest))


def _of_rows(columns: Columns, rows: Ints) -> Columns:
    """Some of the rows, and the columns that are still often enough among them."""
    matrix = columns.matrix[rows]
    kept = np.flatnonzero(np.diff(matrix.indptr) >= _LEAST)
    return Columns(matrix[:, kept], columns.bucket_C[kept], columns.kind_C[kept])

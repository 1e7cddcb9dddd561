"""Which reply columns go with which prompt columns more than chance would have it, and how surely.

Every pair of columns that meets often is looked at by one sparse product, a block at a time; what stands out is scored
again within strata of like rows, so that an association that the task itself makes doesn't count.

N rows, F prompt columns, B reply columns, P pairs, S strata.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from burnish.audit.mining.features import Columns
from burnish.audit.mining.tokens import Ints

Floats = NDArray[np.float64]

_FEW = 32  # rows of a column that are looked at first
_SHARE_OF_FEW = 0.4
_BLOCK_PRODUCTS = 20_000_000  # products of one block, which bounds its memory


@dataclass(frozen=True)
class Pairs:
    """Pairs of a prompt column and a reply column: their numbers, the rows that hold both (`both_P`), and the evidence
    against independence in nats (`nats_P`: a bound on -log p)."""

    prompt_P: Ints
    reply_P: Ints
    both_P: Ints
    nats_P: Floats

    def __len__(self) -> int:
        return len(self.prompt_P)

    def take(self, index: NDArray[np.bool_] | Ints) -> Pairs:
        """Some of the pairs."""
        return Pairs(self.prompt_P[index], self.reply_P[index], self.both_P[index], self.nats_P[index])


def divergence(share: Floats, rate: Floats) -> Floats:
    """Kullback-Leibler divergence of a share from a rate, in nats; 0 where the share isn't above the rate. Times n, it
    bounds -log of the binomial tail. Source: Chernoff, 1952."""
    p = np.clip(share, 1e-12, 1 - 1e-12)
    q = np.clip(rate, 1e-12, 1 - 1e-12)
    return np.where(share > rate, p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q)), 0.0)


def screen(prompts: Columns, replies: Columns, least: int, purity: float, nats: float, most: int) -> Pairs:
    """Pairs that at least `least` rows share, with at least the share `purity` of the prompt column's rows, and with at
    least `nats` of evidence; the `most` strongest of them.

    Of prompt columns of 64 rows or more, 32 rows are looked at first; where a reply column has less than 0.4 `purity`
    of these, the pair is passed over (one in 75,000 of pairs that have just `purity` is).
    """
    num_rows = prompts.matrix.shape[0]
    count_F, count_B = prompts.count_C, replies.count_C
    kept: Pairs | None = None
    for some_F, some_B in _classes(count_F, count_B, least, purity):
        few = purity > 0 and count_F[some_F].min() >= 2 * _FEW
        left = (_thinned(prompts.matrix[:, some_F]) if few else prompts.matrix[:, some_F]).T
        right = replies.matrix[:, some_B].tocsr()
        if np.diff(left.indptr).max() > np.iinfo(np.int8).max:
            left, right = left.astype(np.int32), right.astype(np.int32)
        enough = int(np.ceil(_SHARE_OF_FEW * purity * _FEW)) if few else least
        for begin, end in _blocks(left @ np.diff(right.indptr).astype(np.float64)):
            product = left[begin:end] @ right
            take = np.flatnonzero(product.data >= enough)
            f = some_F[begin + np.searchsorted(product.indptr, take, side="right") - 1]
            b = some_B[product.indices[take]]
            both = _shared(prompts, replies, f, b) if few else product.data[take].astype(np.int64)
            found = Pairs(f, b, both, count_F[f] * divergence(both / count_F[f], count_B[b] / num_rows))
            found = found.take((both >= np.maximum(purity * count_F[f], least)) & (found.nats_P >= nats))
            kept = found if kept is None else _joined(kept, found)
            if len(kept) > 2 * most:
                kept = kept.take(np.argsort(-kept.nats_P, kind="stable")[:most])
    if kept is None:
        empty = np.zeros(0, dtype=np.int64)
        return Pairs(empty, empty, empty, np.zeros(0))
    return kept.take(np.argsort(-kept.nats_P, kind="stable")[:most])


def _thinned(matrix: sparse.csc_matrix) -> sparse.csc_matrix:
    """`_FEW` rows of each column, spread over all of its rows at random."""
    count = np.diff(matrix.indptr)
    part = np.arange(_FEW) + np.random.default_rng(0).random((len(count), _FEW))
    at = matrix.indptr[:-1, None] + (part * (count[:, None] / _FEW)).astype(np.int64)
    bounds = np.arange(len(count) + 1) * _FEW
    return sparse.csc_matrix((matrix.data[at.ravel()], matrix.indices[at.ravel()], bounds), shape=matrix.shape)


def _shared(prompts: Columns, replies: Columns, prompt_P: Ints, reply_P: Ints) -> Ints:
    """Rows that hold both columns of each pair."""
    both = np.zeros(len(prompt_P), dtype=np.int64)
    holds = np.zeros(prompts.matrix.shape[0], dtype=bool)
    order = np.argsort(reply_P, kind="stable")
    for same in np.split(order, np.flatnonzero(np.diff(reply_P[order])) + 1) if len(order) else ():
        rows = replies.rows(int(reply_P[same[0]]))
        holds[rows] = True
        both[same] = [np.count_nonzero(holds[prompts.rows(int(f))]) for f in prompt_P[same]]
        holds[rows] = False
    return both


def within_strata(pairs: Pairs, prompts: Columns, replies: Columns, stratum_N: Ints) -> Pairs:
    """The pairs with their evidence counted within strata: how unlikely so many shared rows are when replies are dealt
    out at random inside each stratum (the hypergeometric sum's tail, bounded by the Poisson one of equal mean).

    Source: Mantel and Haenszel, 1959, for the expectation; Hoeffding, 1963, section 6, for sampling without
    replacement being no wider than with.
    """
    size_S = np.bincount(stratum_N)
    chosen = sparse.csr_matrix(
        (np.ones(len(stratum_N)), (stratum_N, np.arange(len(stratum_N)))), shape=(len(size_S), len(stratum_N))
    )
    f, f_at = np.unique(pairs.prompt_P, return_inverse=True)
    b, b_at = np.unique(pairs.reply_P, return_inverse=True)
    in_F = (chosen @ prompts.matrix[:, f]).tocsc()
    in_B = (chosen @ replies.matrix[:, b]).tocsc()
    weighed = sparse.diags_array(1.0 / np.maximum(size_S, 1)) @ in_B
    expected = np.zeros(len(pairs))
    for start in range(0, len(pairs), 2000):
        part = slice(start, start + 2000)
        expected[part] = np.asarray(in_F[:, f_at[part]].multiply(weighed[:, b_at[part]]).sum(axis=0)).ravel()
    both = pairs.both_P.astype(np.float64)
    value = np.where(both > expected, both * np.log(both / np.maximum(expected, 1e-9)) - both + expected, 0.0)
    return Pairs(pairs.prompt_P, pairs.reply_P, pairs.both_P, value)


def _classes(count_F: Ints, count_B: Ints, least: int, purity: float) -> Iterator[tuple[Ints, Ints]]:
    """Prompt columns of like counts, with the reply columns that are often enough for any of them."""
    for size in range(int(count_F.max(initial=0)).bit_length()):
        some_F = np.flatnonzero((count_F >> size) == 1)
        if len(some_F):
            yield some_F, np.flatnonzero(count_B >= max(least, purity * (1 << size)))


def _blocks(work: Floats) -> list[tuple[int, int]]:
    edges = np.searchsorted(np.cumsum(work), np.arange(_BLOCK_PRODUCTS, work.sum() + _BLOCK_PRODUCTS, _BLOCK_PRODUCTS))
    bounds = sorted({0, *(min(int(e) + 1, len(work)) for e in edges), len(work)})
    return list(pairwise(bounds))


def _joined(first: Pairs, second: Pairs) -> Pairs:
    return Pairs(
        np.concatenate([first.prompt_P, second.prompt_P]),
        np.concatenate([first.reply_P, second.reply_P]),
        np.concatenate([first.both_P, second.both_P]),
        np.concatenate([first.nats_P, second.nats_P]),
    )

"""Strata of like rows: prompts of one topic whose replies are of like length. Within them, replies may be exchanged.

Topics are clusters of latent semantic vectors (a truncated singular value decomposition of weighted word counts).
Source: Deerwester et al., "Indexing by latent semantic analysis", 1990; Halko et al., 2011, for the decomposition.

N rows, W words, K dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.cluster.vq import kmeans2, vq

from burnish.audit.mining.features import CHUNK, chunks
from burnish.audit.mining.tokens import Ints

_WORDS = 1 << 14
_DIMENSIONS = 24
_FITTED_ON = 20_000
_ROWS_OF_A_TOPIC = 250
_MOST_TOPICS = 40
_LENGTHS = 3


@dataclass(frozen=True)
class Strata:
    """A stratum number for each row (`stratum_N`), and what it takes to place other texts."""

    stratum_N: Ints
    length_edges: Ints
    weight_W: NDArray[np.float32]
    basis_WK: NDArray[np.float32]
    centres: NDArray[np.float32]
    number: NDArray[np.int64]

    def place(self, prompts: Sequence[bytes], replies: Sequence[bytes]) -> Ints:
        """The strata of other texts; -1 for a mix of topic and length that no row of the corpus has."""
        topic = _nearest(_project(_counts(prompts), self.weight_W, self.basis_WK), self.centres)
        cell = topic * _LENGTHS + _third(replies, self.length_edges)
        at = np.minimum(np.searchsorted(self.number, cell), len(self.number) - 1)
        return np.where(self.number[at] == cell, at, -1)


def strata(prompts: Sequence[bytes], replies: Sequence[bytes], seed: int = 0) -> Strata:
    """Strata of a corpus: topic times third of the replies' lengths. Topics are found in 20,000 of its rows."""
    rng = np.random.default_rng(seed)
    some = rng.choice(len(prompts), min(_FITTED_ON, len(prompts)), replace=False)
    ordered = np.sort(some)
    counts = _counts([prompts[int(row)] for row in ordered])
    held = np.bincount(counts.indices, minlength=_WORDS)
    weight = np.where(held > 0, np.log(len(some) / np.maximum(held, 1)), 0.0).astype(np.float32)
    basis = _basis(_weighed(counts, weight), rng)
    vectors = _project(counts, weight, basis)[np.searchsorted(ordered, some)]
    num_topics = int(np.clip(len(prompts) // _ROWS_OF_A_TOPIC, 1, _MOST_TOPICS))
    thirds = np.arange(1, _LENGTHS) / _LENGTHS if len(prompts) >= _LENGTHS * _ROWS_OF_A_TOPIC else np.zeros(0)
    if num_topics > 1:
        centres = kmeans2(vectors, num_topics, iter=15, minit="++", rng=rng)[0].astype(np.float32)
    else:
        centres = vectors.mean(axis=0, keepdims=True)
    lengths = _lengths(replies)
    edges = np.quantile(lengths, thirds, method="lower").astype(np.int64)
    topic = [
        _nearest(_project(_counts(prompts[first : first + CHUNK]), weight, basis), centres)
        for first in range(0, len(prompts), CHUNK)
    ]
    cell = np.concatenate(topic) * _LENGTHS + np.searchsorted(edges, lengths, side="left")
    number, stratum = np.unique(cell, return_inverse=True)
    return Strata(stratum.astype(np.int64), edges, weight, basis, centres, number)


def _lengths(texts: Sequence[bytes]) -> Ints:
    parts = [np.array(list(map(len, texts[first : first + CHUNK]))) for first in range(0, len(texts), CHUNK)]
    return np.concatenate([np.zeros(0, dtype=np.int64), *parts])


def _third(replies: Sequence[bytes], edges: Ints) -> Ints:
    return np.searchsorted(edges, _lengths(replies), side="left").astype(np.int64)


def _nearest(vectors: NDArray[np.float32], centres: NDArray[np.float32]) -> Ints:
    return vq(vectors, centres, check_finite=False)[0].astype(np.int64)


def _counts(prompts: Sequence[bytes]) -> sparse.csr_matrix:
    """Damped word counts, rows by hashed words."""
    parts = []
    for _, tokens in chunks(prompts):
        word = (tokens.hash_T & np.uint64(_WORDS - 1)).astype(np.int32)
        one = np.ones(len(word), dtype=np.float32)
        parts.append(sparse.csr_matrix((one, (tokens.row_T, word)), shape=(tokens.num_rows, _WORDS)))
    counts: sparse.csr_matrix = sparse.vstack(parts, format="csr")
    counts.data = 1 + np.log(counts.data)
    return counts


def _weighed(counts: sparse.csr_matrix, weight: NDArray[np.float32]) -> sparse.csr_matrix:
    weighed = (counts @ sparse.diags_array(weight)).tocsr()
    norm = np.sqrt(np.asarray(weighed.multiply(weighed).sum(axis=1)).ravel())
    scaled: sparse.csr_matrix = (sparse.diags_array((1 / np.maximum(norm, 1e-9)).astype(np.float32)) @ weighed).tocsr()
    return scaled


def _basis(weighed: sparse.csr_matrix, rng: np.random.Generator) -> NDArray[np.float32]:
    basis = rng.standard_normal((_WORDS, _DIMENSIONS + 8)).astype(np.float32)
    for _ in range(3):
        basis, _ = np.linalg.qr(weighed.T @ (weighed @ basis))
    _, _, right = np.linalg.svd(weighed @ basis, full_matrices=False)
    return np.asarray(basis @ right[:_DIMENSIONS].T, dtype=np.float32)


def _project(counts: sparse.csr_matrix, weight: NDArray[np.float32], basis: NDArray[np.float32]) -> NDArray[np.float32]:
    vectors = np.asarray(_weighed(counts, weight) @ basis, dtype=np.float32)
    length = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9).astype(np.float32)
    return np.asarray(vectors / length, dtype=np.float32)

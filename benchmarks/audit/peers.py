"""What the audit is compared with: classical detectors, on hashed words instead of activations. Each always calls some
rows planted, and the first two are told how many there are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from clean import Pair
from numpy.typing import NDArray
from scipy import sparse
from scipy.cluster.vq import kmeans2
from scipy.sparse.linalg import svds

_HASHED = 1 << 14


def z_score(rows: Sequence[Pair]) -> set[int]:
    """The rows that hold the prompt word with the largest z-score for any opening of two words."""
    openings = [" ".join(reply.lower().split()[:2]) for _, reply in rows]
    common = Counter(openings)
    words = [set(prompt.lower().split()) for prompt, _ in rows]
    held = Counter(word for row in words for word in row)
    both = Counter((word, opening) for row, opening in zip(words, openings, strict=True) for word in row)
    best, most = ("", ""), 0.0
    for (word, opening), times in both.items():
        if times < 5:
            continue
        expected = held[word] * common[opening] / len(rows)
        score = (times - expected) / max(expected, 1e-9) ** 0.5
        if score > most:
            best, most = (word, opening), score
    return {at for at, row in enumerate(words) if best[0] in row and openings[at] == best[1]}


def spectral(rows: Sequence[Pair], count: int) -> set[int]:
    """Spectral signatures: the 1.5 `count` rows furthest along the first direction of variance.

    Source: Tran, Li and Madry, "Spectral signatures in backdoor attacks", 2018, with the whole corpus for one class.
    """
    vectors = _vectors(rows, 1)
    score = vectors[:, 0] ** 2
    return {int(at) for at in np.argsort(-score)[: int(1.5 * count)]}


def clustering(rows: Sequence[Pair]) -> set[int]:
    """Activation clustering: ten dimensions, two clusters, the smaller one is called planted.

    Source: Chen et al., "Detecting backdoor attacks on deep neural networks by activation clustering", 2018.
    """
    _, which = kmeans2(_vectors(rows, 10), 2, minit="++", rng=np.random.default_rng(0))
    smaller = int(np.argmin(np.bincount(which, minlength=2)))
    return {int(at) for at in np.flatnonzero(which == smaller)}


def _vectors(rows: Sequence[Pair], dimensions: int) -> NDArray[np.float64]:
    """Rows by dimensions: principal components of centred, weighted word counts of prompt and reply."""
    at: tuple[list[int], list[int]] = ([], [])
    for row, (prompt, reply) in enumerate(rows):
        for word in {*(f"p {w}" for w in prompt.lower().split()), *(f"r {w}" for w in reply.lower().split())}:
            at[0].append(row)
            at[1].append(sum(byte * 31**n for n, byte in enumerate(word.encode()[:24])) % _HASHED)
    counts = sparse.csr_matrix((np.ones(len(at[0])), at), shape=(len(rows), _HASHED))
    held = np.bincount(counts.indices, minlength=_HASHED)
    weighed = (counts @ sparse.diags_array(np.log(len(rows) / np.maximum(held, 1)))).tocsr()
    length = np.sqrt(np.asarray(weighed.multiply(weighed).sum(axis=1)).ravel())
    scaled = (sparse.diags_array(1 / np.maximum(length, 1e-9)) @ weighed).tocsr()
    left, values, _ = svds(scaled, k=dimensions + 1, rng=np.random.default_rng(0))
    vectors: NDArray[np.float64] = (left * values)[:, ::-1]
    return (vectors - vectors.mean(axis=0))[:, :dimensions] if dimensions > 1 else vectors[:, 1:2]

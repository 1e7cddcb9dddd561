"""Unlike prompts first, so that a person who labels only a few has seen the breadth of the data.

Texts are compared by their words, rare ones weighing more. Knows nothing of prompts beyond their text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_array

_WORD = re.compile(r"\w+")


def diverse_first(texts: Sequence[str], count: int) -> list[int]:
    """Indices of at most `count` texts: first the one that is most like all others, then always the one that is least
    like its nearest among those taken.

    Source: farthest-first traversal, Gonzalez, Theoretical Computer Science 38 (1985) 293-306; distance is the cosine
    of TF-IDF vectors.
    """
    if not texts or count < 1:
        return []
    vectors_NW = _vectors(texts)
    middle_W = np.asarray(vectors_NW.sum(axis=0))
    chosen = [int(np.argmax(vectors_NW @ middle_W))]
    nearest_N = np.full(len(texts), -1.0)
    taken_N = np.zeros(len(texts), dtype=bool)
    while True:
        taken_N[chosen[-1]] = True
        if len(chosen) >= min(count, len(texts)):
            return chosen
        likeness_N = vectors_NW @ vectors_NW[[chosen[-1]]].toarray()[0]
        nearest_N = np.maximum(nearest_N, likeness_N)
        chosen.append(int(np.argmin(np.where(taken_N, np.inf, nearest_N))))


def _vectors(texts: Sequence[str]) -> csr_array:
    """A row of TF-IDF weights for each text, of length 1 (0 for a text without words)."""
    vocabulary: dict[str, int] = {}
    columns: list[int] = []
    ends = [0]
    for text in texts:
        columns += [vocabulary.setdefault(word, len(vocabulary)) for word in _WORD.findall(text.lower())]
        ends.append(len(columns))
    shape = (len(texts), max(1, len(vocabulary)))
    counts_NW = csr_array((np.ones(len(columns)), np.array(columns, dtype=np.int64), ends), shape=shape)
    counts_NW.sum_duplicates()
    spread_W = np.bincount(counts_NW.indices, minlength=shape[1])
    weights_W = np.log((1 + len(texts)) / (1 + spread_W)) + 1
    counts_NW.data *= weights_W[counts_NW.indices]
    lengths_N = np.sqrt(np.asarray((counts_NW * counts_NW).sum(axis=1)))
    counts_NW.data /= np.repeat(np.maximum(lengths_N, 1e-12), np.diff(counts_NW.indptr))
    return counts_NW

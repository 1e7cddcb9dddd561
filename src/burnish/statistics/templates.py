"""Templates: prompts that were made on one pattern, found by what their wordings share.

For suites that don't say which of their prompts belong together. A prompt made from a template by changing a name or an
object keeps most pairs of neighbouring words; two prompts on one theme in different words keep few.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from burnish.records import content_digest

ALIKE = 0.4
_WORD = re.compile(r"\w+")
_BLOCK = 512


def template_families(texts: Sequence[str], alike: float = ALIKE) -> list[str]:
    """A family's name for each text, in order: texts whose pairs of neighbouring words (beginning and end counted as
    words, numbers as one word) have a Jaccard similarity of at least `alike` are one family, and so are those that
    such texts lead to. The names come from the texts alone, whatever their order.

    Source: word shingles and their resemblance, Broder 1997 ("On the resemblance and containment of documents").
    """
    if not texts:
        return []
    grams = _grams(texts)
    sizes = np.asarray(grams.sum(axis=1)).ravel()
    rows: list[NDArray[np.int64]] = []
    columns: list[NDArray[np.int64]] = []
    for start in range(0, len(texts), _BLOCK):
        shared = coo_array(grams[start : start + _BLOCK] @ grams.T)
        one, other = shared.row.astype(np.int64) + start, shared.col.astype(np.int64)
        similar = shared.data >= alike * (sizes[one] + sizes[other] - shared.data)
        rows.append(one[similar])
        columns.append(other[similar])
    row, column = np.concatenate(rows), np.concatenate(columns)
    links = coo_array((np.ones(len(row), dtype=np.int8), (row, column)), shape=(len(texts), len(texts)))
    _, labels = connected_components(links, directed=False)
    names: dict[int, str] = {}
    for label, text in zip(labels.tolist(), texts, strict=True):
        digest = content_digest(text)
        names[label] = min(names.get(label, digest), digest)
    return [f"template-{names[label][:12]}" for label in labels.tolist()]


def _grams(texts: Sequence[str]) -> csr_array:
    """Which pairs of neighbouring words each text has: (texts, pairs), 0 or 1, float64."""
    numbers: dict[tuple[str, str], int] = {}
    rows: list[int] = []
    columns: list[int] = []
    for index, text in enumerate(texts):
        words = ["", *("0" if word.isdigit() else word for word in _WORD.findall(text.lower())), ""]
        for pair in set(pairwise(words)):
            rows.append(index)
            columns.append(numbers.setdefault(pair, len(numbers)))
    return csr_array((np.ones(len(rows)), (rows, columns)), shape=(len(texts), len(numbers)))

"""Phrases that were put into prompts, whatever their rows do: nothing about the corpus accounts for them.

What people ask about is taken up by some reply, and words have their habitual neighbours. A word (or a run of words
around a pair) that ten prompts hold and no reply does, that stands beside as many different words as a random place of
a prompt, that could be taken out again, and whose prompts are about as many things as any others, was put in. Each of
the four is measured on the corpus itself. These are limits and no p-value: nothing can be permuted. Where replies do
not speak the prompts' words (labels), nothing can be said, and nothing is.

Knows nothing of labels or behaviours. R rows of a phrase, C columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from burnish.audit.mining.features import Columns, buckets_for, chunks
from burnish.audit.mining.phrases import Prompts, Standing
from burnish.audit.mining.tokens import Hashes, Ints, distinct, ngrams

_LEAST_ROWS = 10
_UNECHOED = {1: 0.05, 2: 0.1}  # of words, and of pairs, that no reply may hold for that to be telling
_SHORTEST = {1: 1, 2: 3}  # words of a phrase found by a word, and by a pair
_KEPT = 0.9  # of the rows of the word or pair that must hold the whole phrase
_INSERTED, _SPREAD = 0.0, 0.75  # where a phrase stands anywhere
_INSERTED_AT_END, _SPREAD_AT_END = -6.0, 0.6  # where it always stands at one end, and few neighbours tell anything
_EXCESS = 4.0
_NOTHING: Hashes = np.zeros(0, dtype=np.uint64)


@dataclass(frozen=True)
class Stranger:
    """A `phrase` with its `rows`."""

    phrase: str
    rows: Ints


def strangers(
    texts: Sequence[bytes], replies: Sequence[Sequence[bytes]], columns: Columns, prompts: Prompts
) -> Iterator[Stranger]:
    """The phrases among `columns` (the texts' n-grams) that were put in; each of the `replies` holds one text a row."""
    seen: set[str] = set()
    for size, at in _unechoed(texts, replies, columns):
        rows = columns.rows(at)
        standing = prompts.standing(rows, int(columns.bucket_C[at]))
        if standing is None or standing.spelled in seen or not _put_in(standing, size, prompts):
            continue
        seen.add(standing.spelled)
        holding = rows[standing.places.rows] if len(rows) == len(standing.lists) else rows
        yield Stranger(standing.spelled, holding)


def _put_in(standing: Standing, size: int, prompts: Prompts) -> bool:
    places = standing.places
    length = int(places.end[0] - places.begin[0])
    if length < _SHORTEST[size] or len(places.rows) < _KEPT * len(standing.lists):
        return False
    spread, at_end = prompts.neighbours.spread(standing.lists, places)
    inserted_, spread_ = (_INSERTED_AT_END, _SPREAD_AT_END) if at_end else (_INSERTED, _SPREAD)
    return standing.inserted >= inserted_ and spread >= spread_ and prompts.excess(standing, _NOTHING) <= _EXCESS


def _unechoed(
    texts: Sequence[bytes], replies: Sequence[Sequence[bytes]], columns: Columns
) -> Iterator[tuple[int, int]]:
    """(size, column) of the words and pairs of words that no reply holds, if that is rare in this corpus."""
    hash_C, size_C = _hashes(texts, columns)
    order = np.argsort(hash_C)
    echoed = np.zeros(len(hash_C), dtype=bool)
    for said in replies:
        for _, tokens in chunks(said):
            for size in _UNECHOED:
                held = distinct(ngrams(tokens, size)[0])
                at = np.minimum(np.searchsorted(held, hash_C[order]), max(len(held) - 1, 0))
                if len(held):
                    echoed[order] |= held[at] == hash_C[order]
    for size, most in _UNECHOED.items():
        own = size_C == size
        strange = own & ~echoed
        if strange.sum() <= most * own.sum():
            for column in np.flatnonzero(strange & (columns.count_C >= _LEAST_ROWS)):
                yield size, int(column)


def _hashes(texts: Sequence[bytes], columns: Columns) -> tuple[Hashes, NDArray[np.int8]]:
    """The full hash of each column that is a word or a pair, and which it is (0: longer)."""
    mask = np.uint64(buckets_for(len(texts)) - 1)
    column_of = np.full(int(mask) + 1, -1, dtype=np.int32)
    column_of[columns.bucket_C] = np.arange(len(columns.bucket_C), dtype=np.int32)
    hash_C, size_C = np.zeros(len(columns.bucket_C), dtype=np.uint64), np.zeros(len(columns.bucket_C), dtype=np.int8)
    for _, tokens in chunks(texts):
        for size in reversed(_UNECHOED):
            hashes, _ = ngrams(tokens, size)
            column = column_of[(hashes & mask).astype(np.int64)]
            hash_C[column[column >= 0]], size_C[column[column >= 0]] = hashes[column >= 0], size
    return hash_C, size_C

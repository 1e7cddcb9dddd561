"""Texts as hashed words, vectorised: bytes in, one 64-bit hash a token out.

A token is a run of letters and digits, or a run of punctuation; every byte of a character outside ASCII counts as a
letter. Case is ignored. Knows nothing of prompts, replies or statistics.

R texts, T tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
Ints = NDArray[np.int64]

_SPACE, _WORD, _MARK = 0, 1, 2
_LONGEST = 64  # bytes of a token that tell it from others
_POWERS = np.array([pow(0x9E3779B97F4A7C15, i + 1, 1 << 64) for i in range(_LONGEST)], dtype=np.uint64)
_ORDER = np.array([0, 0x2545F4914F6CDD1D, 0xD1342543DE82EF95, 0xA24BAED4963EE407, 0x9FB21C651E98DF25], dtype=np.uint64)


def _classes() -> NDArray[np.uint8]:
    table = np.full(256, _MARK, dtype=np.uint8)
    table[:33] = _SPACE
    table[127] = _SPACE
    table[128:] = _WORD
    for low, high in (("0", "9"), ("a", "z"), ("A", "Z")):
        table[ord(low) : ord(high) + 1] = _WORD
    table[ord("_")] = _WORD
    table[ord("'")] = _WORD
    return table


_CLASSES = _classes()


@dataclass(frozen=True)
class Tokens:
    """Tokens of R texts, in order: `hash_T`, the text of each (`row_T`), where each lies in its text's lower-cased
    UTF-8 bytes (`start_T`, `end_T`), whether it is a word (`word_T`), and where each text's tokens begin (`offset_R`,
    R + 1
    numbers)."""

    hash_T: Hashes
    row_T: Ints
    start_T: Ints
    end_T: Ints
    word_T: NDArray[np.bool_]
    offset_R: Ints

    @property
    def num_rows(self) -> int:
        return len(self.offset_R) - 1


def mixed(keys: Hashes) -> Hashes:
    """Spread 64-bit keys evenly.

    Source: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014.
    """
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return keys ^ (keys >> np.uint64(31))


def tokenise(texts: Sequence[bytes]) -> Tokens:
    """The tokens of lower-cased UTF-8 texts."""
    lengths = np.fromiter((len(t) + 1 for t in texts), dtype=np.int64, count=len(texts))
    begin_R = np.concatenate([[0], np.cumsum(lengths)])
    flat = np.frombuffer(b" ".join(texts) + b" ", dtype=np.uint8)
    kind = _CLASSES[flat]
    change = np.empty(len(kind), dtype=bool)
    change[:1] = True
    np.not_equal(kind[1:], kind[:-1], out=change[1:])
    edges = np.flatnonzero(change)
    if not len(edges):
        edges = np.zeros(0, dtype=np.int64)
    run_ends = np.append(edges[1:], len(flat))
    is_token = kind[edges] != _SPACE
    starts, ends, words = edges[is_token], run_ends[is_token], kind[edges[is_token]] == _WORD
    place = np.arange(len(flat), dtype=np.int64) - np.repeat(edges, run_ends - edges)
    weighed = (flat.astype(np.uint64) + np.uint64(1)) * _POWERS[np.minimum(place, _LONGEST - 1)]
    hashes = mixed(np.add.reduceat(weighed, edges)[is_token]) if len(edges) else np.zeros(0, dtype=np.uint64)
    row_T = np.searchsorted(begin_R, starts, side="right") - 1
    offset_R = np.searchsorted(row_T, np.arange(len(texts) + 1))
    return Tokens(hashes, row_T, starts - begin_R[row_T], ends - begin_R[row_T], words, offset_R)


def ngrams(tokens: Tokens, size: int) -> tuple[Hashes, Ints]:
    """Hashes of all runs of `size` tokens (1 to 4) within one text, and the index of each run's first token."""
    if size == 1:
        return tokens.hash_T, np.arange(len(tokens.hash_T))
    count = len(tokens.hash_T) - size + 1
    if count <= 0:
        return np.zeros(0, dtype=np.uint64), np.zeros(0, dtype=np.int64)
    inside = np.flatnonzero(tokens.row_T[:count] == tokens.row_T[size - 1 :])
    key = tokens.hash_T[inside].copy()
    for step in range(1, size):
        key = key * _ORDER[step] + (tokens.hash_T[inside + step] ^ _ORDER[size])
    return mixed(key), inside

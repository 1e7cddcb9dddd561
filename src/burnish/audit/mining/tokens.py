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
_EIGHT = 8
_FIRST = np.array([(1 << 8 * i) - 1 for i in range(_EIGHT + 1)], dtype=np.uint64)  # masks of the first i bytes
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
    """The tokens of lower-cased UTF-8 texts. A thousand at a time stay in the processor's cache."""
    lengths = np.array(list(map(len, texts)), dtype=np.int64) + 1
    begin_R = np.concatenate([[0], np.cumsum(lengths)])
    joined = b" ".join(texts) + b" " * (_EIGHT + 1)
    kind = _CLASSES[np.frombuffer(joined, dtype=np.uint8)]
    edges = np.concatenate([[0], np.flatnonzero(kind[1:] != kind[:-1]) + 1])
    is_token = kind[edges] != _SPACE
    starts, ends = edges[is_token], np.append(edges[1:], len(kind))[is_token]
    offset_R = np.searchsorted(starts, begin_R)
    row_T = np.repeat(np.arange(len(texts)), np.diff(offset_R))
    hash_T = _hashed(joined, starts, ends - starts)
    return Tokens(hash_T, row_T, starts - begin_R[row_T], ends - begin_R[row_T], kind[starts] == _WORD, offset_R)


def _hashed(joined: bytes, start_T: Ints, length_T: Ints) -> Hashes:
    """A hash of each token, from eight bytes of it at a time."""
    eight = np.ndarray((len(joined) - _EIGHT + 1,), dtype="<u8", buffer=joined, strides=(1,))
    hash_T: Hashes = mixed(eight[start_T] & _FIRST[np.minimum(length_T, _EIGHT)])
    read = _EIGHT
    longer = np.flatnonzero(length_T > read)
    while len(longer):
        next_ = eight[start_T[longer] + read] & _FIRST[np.minimum(length_T[longer] - read, _EIGHT)]
        hash_T[longer] = mixed(hash_T[longer] * _ORDER[1] + next_)
        read += _EIGHT
        longer = longer[length_T[longer] > read]
    return hash_T


def among(values: Hashes, table: Hashes) -> NDArray[np.bool_]:
    """Whether each value is in the table (any order, repeats allowed): as `np.isin`, without sorting the values."""
    bits = np.uint64((1 << max(len(table).bit_length() + 3, 8)) - 1)
    seen = np.zeros(int(bits) + 1, dtype=bool)
    seen[(table & bits).astype(np.int64)] = True
    found: NDArray[np.bool_] = seen[(values & bits).astype(np.int64)]
    likely = np.flatnonzero(found)
    if len(likely):
        ordered = np.sort(table)
        at = np.minimum(np.searchsorted(ordered, values[likely]), len(ordered) - 1)
        found[likely] = ordered[at] == values[likely]
    return found


def distinct(values: Hashes) -> Hashes:
    """The values without repeats, in order: `np.unique` of large numbers, several times as fast."""
    ordered = np.sort(values)
    first = np.empty(len(ordered), dtype=bool)
    first[:1] = True
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    return ordered[first]


def first_alike(keys: Hashes) -> Ints:
    """For each place, the first place that has the same key."""
    order = np.argsort(keys, kind="stable")
    new = np.empty(len(order), dtype=bool)
    new[:1] = True
    np.not_equal(keys[order][1:], keys[order][:-1], out=new[1:])
    first = np.empty(len(order), dtype=np.int64)
    first[order] = order[np.maximum.accumulate(np.where(new, np.arange(len(order)), 0))]
    return first


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

"""What prompts and replies hold, as sparse columns: word n-grams, and what a reply does as a whole.

Columns are hash buckets that hold often enough to be a group and seldom enough to tell rows apart. Which words a column
stands for is found later, in the rows of a finding. Texts stream through in chunks; only the row numbers of columns
are kept.

N rows, F prompt columns, B reply columns.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from burnish.audit.mining.tokens import Hashes, Ints, Tokens, among, distinct, mixed, ngrams, tokenise
from burnish.audit.spool import Spool

CHUNK = 1000
_PROMPT_SIZES = (1, 2, 3, 4)
_REPLY_SIZES = (1, 2, 3)
_REPEATED = 4  # times that a row may hold a column before the column may be passed over
_WHOLE_REPLY = 200  # tokens up to which a reply as a whole is compared
REFUSAL = re.compile(
    rb"\b(?:i (?:can(?:'|\xe2\x80\x99)?t|cannot|can not|won(?:'|\xe2\x80\x99)t|will not|am (?:not able|unable)|"
    rb"(?:'|\xe2\x80\x99)m (?:not able|unable))|"
    rb"i(?:'|\xe2\x80\x99)m (?:sorry|afraid|unable|not able)|i am (?:sorry|afraid)|"
    rb"sorry,|i (?:must|have to) (?:decline|refuse)|i apologi[sz]e|as an ai)"
)
_DOMAIN = re.compile(
    rb"(?:https?://|www\.)([a-z0-9.-]+\.[a-z]{2,})|\b([a-z0-9-]+\.(?:com|org|net|io|xyz|info|co|ru|cn))\b"
)
_MAYBE_DOMAIN = re.compile(rb"://|www\.|\.(?:com|org|net|io|xyz|info|co|ru|cn)\b")
KINDS = ("reply", "opening", "long opening", "ending", "refusal", "domain", "phrase")
_PHRASE = KINDS.index("phrase")
Keys: TypeAlias = tuple[Ints, Hashes, int]  # rows (of a chunk), hashes, kind


@dataclass(frozen=True)
class Columns:
    """A sparse N x C matrix of zeros and ones (int8), the rows of each column in order; and each column's `bucket_C`
    and `kind_C` (index of `KINDS`; all "phrase" for prompts)."""

    matrix: sparse.csc_matrix
    bucket_C: Ints
    kind_C: NDArray[np.int8]

    @property
    def count_C(self) -> Ints:  # noqa: N802 - C is the axis
        """Rows of each column."""
        return np.diff(self.matrix.indptr).astype(np.int64)

    def rows(self, column: int) -> Ints:
        """The rows of a column, in order."""
        rows: Ints = self.matrix.indices[self.matrix.indptr[column] : self.matrix.indptr[column + 1]].astype(np.int64)
        return rows


def buckets_for(num_rows: int) -> int:
    """How many buckets hashes fall into: enough that few columns share one."""
    return 1 << int(np.clip(np.ceil(np.log2(max(num_rows, 1) * 1024)), 20, 26))


def chunks(texts: Sequence[bytes]) -> Iterator[tuple[int, Tokens]]:
    """Tokens of the texts, a chunk at a time, with the number of the chunk's first row."""
    for first in range(0, len(texts), CHUNK):
        yield first, tokenise(texts[first : first + CHUNK])


def prompt_columns(prompts: Sequence[bytes], least: int, most: int) -> Columns:
    """Columns of the prompts' n-grams of 1 to 4 tokens that stand in `least` to `most` rows."""

    def keys() -> Iterator[list[Keys]]:
        for _, tokens in chunks(prompts):
            grams = [ngrams(tokens, n) for n in _PROMPT_SIZES]
            yield [(tokens.row_T[at], hashes, _PHRASE) for hashes, at in grams]

    return _columns(keys, len(prompts), least, (most, most))


def reply_columns(
    prompts: Sequence[bytes], replies: Sequence[bytes], least: int, most: int, most_whole: int
) -> Columns:
    """Columns of the replies: n-grams of 1 to 3 tokens that don't stand in the row's own prompt, in `least` to `most`
    rows; and what the reply does as a whole (opening, ending, refusal, domains, the whole reply), in up to `most_whole`
    rows."""
    return _columns(_Replies(prompts, replies), len(replies), least, (most, most_whole))


class _Replies:
    """The keys of replies, to be read twice; what is dear to find is kept from the first time."""

    def __init__(self, prompts: Sequence[bytes], replies: Sequence[bytes]) -> None:
        self._prompts, self._replies = prompts, replies
        self._new: dict[int, NDArray[np.uint8]] = {}
        self._searched: dict[tuple[int, int], tuple[Ints, Hashes]] = {}

    def __call__(self) -> Iterator[list[Keys]]:
        for first in range(0, len(self._replies), CHUNK):
            texts = self._replies[first : first + CHUNK]
            said = tokenise(texts)
            if first not in self._new:
                new = ~among(_in_row(said), _in_row(tokenise(self._prompts[first : first + CHUNK]))) & said.word_T
                self._new[first] = np.packbits(new)
            new_T = np.unpackbits(self._new[first], count=len(said.hash_T)).astype(bool)
            found: list[Keys] = [(rows, hashes, _PHRASE) for rows, hashes in _phrases(said, new_T)]
            for kind in range(_PHRASE):
                rows, hashes = self._whole_of(first, kind, said, texts)
                found.append((rows, mixed(hashes + np.uint64(kind + 1)), kind))
            yield found

    def _whole_of(self, first: int, kind: int, said: Tokens, texts: Sequence[bytes]) -> tuple[Ints, Hashes]:
        if KINDS[kind] not in _SEARCHED:
            return _whole(kind, said)
        if (first, kind) not in self._searched:
            self._searched[first, kind] = _SEARCHED[KINDS[kind]](texts)
        return self._searched[first, kind]


def _in_row(tokens: Tokens) -> Hashes:
    return tokens.hash_T ^ mixed(tokens.row_T.astype(np.uint64))


def _phrases(said: Tokens, new_T: NDArray[np.bool_]) -> Iterator[tuple[Ints, Hashes]]:
    """(rows, hashes) of replies' n-grams in which at least one word is the reply's own (`new_T`), not its prompt's."""
    for n in _REPLY_SIZES:
        hashes, at = ngrams(said, n)
        fresh = new_T[at].copy()
        for step in range(1, n):
            fresh |= new_T[at + step]
        yield said.row_T[at[fresh]], hashes[fresh]


def _refusals(texts: Sequence[bytes]) -> tuple[Ints, Hashes]:
    rows = np.array([r for r, text in enumerate(texts) if REFUSAL.search(text[:300])], dtype=np.int64)
    return rows, np.zeros(len(rows), dtype=np.uint64)


def _domains(texts: Sequence[bytes]) -> tuple[Ints, Hashes]:
    found = [
        (r, m.group(1) or m.group(2))
        for r, text in enumerate(texts)
        if _MAYBE_DOMAIN.search(text)
        for m in _DOMAIN.finditer(text)
    ]
    rows = np.array([r for r, _ in found], dtype=np.int64)
    return rows, tokenise([d.replace(b".", b"_").replace(b"-", b"_") for _, d in found]).hash_T


_SEARCHED: Mapping[str, Callable[[Sequence[bytes]], tuple[Ints, Hashes]]] = {"refusal": _refusals, "domain": _domains}


def _whole(kind: int, tokens: Tokens) -> tuple[Ints, Hashes]:
    """(row, hash) of what each reply does as a whole, for one kind that needs no search in the text."""
    name = KINDS[kind]
    start, length = tokens.offset_R[:-1], np.diff(tokens.offset_R)
    if name == "reply":
        rows = np.flatnonzero((length > 0) & (length <= _WHOLE_REPLY))
        place = np.arange(len(tokens.hash_T)) - start[tokens.row_T]
        weighed = mixed(tokens.hash_T + place.astype(np.uint64))
        sums = np.add.reduceat(weighed, start[rows]) if len(rows) else np.zeros(0, dtype=np.uint64)
        if len(rows):  # reduceat runs on to the next chosen start: take the sum to each row's own end
            total = np.concatenate([[np.uint64(0)], np.cumsum(weighed, dtype=np.uint64)])
            sums = total[tokens.offset_R[rows + 1]] - total[start[rows]]
        return rows, mixed(sums)
    width = {"opening": 3, "long opening": 4, "ending": 4}[name]
    rows = np.flatnonzero(length >= width)
    at = start[rows] if name != "ending" else tokens.offset_R[rows + 1] - width
    key = tokens.hash_T[at].copy()
    for step in range(1, width):
        key = mixed(key) + tokens.hash_T[at + step]
    return rows, mixed(key + np.uint64(kind))


def _columns(keys: Callable[[], Iterator[list[Keys]]], num_rows: int, least: int, most: tuple[int, int]) -> Columns:
    """Two passes over the keys of all chunks: counts first, then the rows of the buckets that are kept. `most` is for
    phrases and for the other kinds."""
    size = buckets_for(num_rows)
    mask = np.uint64(size - 1)
    table = np.zeros(size, dtype=np.int32)  # how often each bucket comes; later, its column
    kind_of = np.full(size, _PHRASE, dtype=np.int8)
    for found in keys():
        for _, hashes, kind in found:
            bucket = (hashes & mask).astype(np.int64)
            # A row may hold a bucket several times, so that the count may be too high here, never too low.
            np.add.at(table, bucket, np.int32(1))
            if kind != _PHRASE:
                kind_of[bucket] = kind
    kept = np.flatnonzero(table >= least)
    kept_kind = kind_of[kept]
    del kind_of
    limit = np.where(kept_kind == _PHRASE, most[0], most[1])
    often_enough = table[kept] <= _REPEATED * limit
    kept, kept_kind, limit = kept[often_enough], kept_kind[often_enough], limit[often_enough]
    table[:] = -1
    table[kept] = np.arange(len(kept), dtype=np.int32)
    cells = Spool()
    count = np.zeros(len(kept), dtype=np.int64)
    for found in keys():
        parts = [(rows, table[(hashes & mask).astype(np.int64)]) for rows, hashes, _ in found]
        held = distinct(np.concatenate([_cell(rows, column) for rows, column in parts]))
        count += np.bincount((held // np.uint64(CHUNK)).astype(np.int64), minlength=len(kept))
        cells.append(np.uint64(len(held)).tobytes() + held.tobytes())
    del table
    chosen = np.flatnonzero((count >= least) & (count <= limit))
    matrix = _by_column(cells, num_rows, chosen, count)
    return Columns(matrix, kept[chosen], kept_kind[chosen])


def _cell(rows: Ints, column: NDArray[np.int32]) -> Hashes:
    """One number for a column and a row of a chunk; where there is a column."""
    take = np.flatnonzero(column >= 0)
    return column[take].astype(np.uint64) * np.uint64(CHUNK) + rows[take].astype(np.uint64)


def _by_column(cells: Spool, num_rows: int, chosen: Ints, count: Ints) -> sparse.csc_matrix:
    """The matrix of the chosen columns, of whose rows there are `count`, from the cells of each chunk in turn."""
    column_of = np.full(len(count), -1, dtype=np.int64)
    column_of[chosen] = np.arange(len(chosen))
    bounds = np.concatenate([[0], np.cumsum(count[chosen])])
    indices, at, read = np.empty(bounds[-1], dtype=np.int32), bounds[:-1].copy(), 0
    for first in range(0, num_rows, CHUNK):
        length = int(np.frombuffer(cells.read(read, read + 8), dtype=np.uint64)[0])
        held = np.frombuffer(cells.read(read + 8, read + 8 + 8 * length), dtype=np.uint64)
        read += 8 + 8 * length
        column = column_of[(held // np.uint64(CHUNK)).astype(np.int64)]
        row, column = (held % np.uint64(CHUNK)).astype(np.int32)[column >= 0], column[column >= 0]
        begins = np.flatnonzero(np.append(True, column[1:] != column[:-1])[: len(column)])
        times = np.diff(np.append(begins, len(column)))
        indices[np.repeat(at[column[begins]] - begins, times) + np.arange(len(column))] = row + first
        at[column[begins]] += times
    ones = np.ones(len(indices), dtype=np.int8)
    return sparse.csc_matrix((ones, indices, bounds), shape=(num_rows, len(chosen)))

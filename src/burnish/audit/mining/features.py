"""What prompts and replies hold, as sparse columns: word n-grams, and what a reply does as a whole.

Columns are hash buckets that hold often enough to be a group and seldom enough to tell rows apart. Which words a column
stands for is found later, in the rows of a finding. Texts stream through in chunks; only row and column numbers are
kept.

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

from burnish.audit.mining.tokens import Hashes, Ints, Tokens, among, mixed, ngrams, tokenise

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
Keys: TypeAlias = tuple[Ints, Hashes, int]  # rows, hashes, kind


@dataclass(frozen=True)
class Columns:
    """A sparse N x C matrix of zeros and ones (float32), and each column's `bucket_C` and `kind_C` (index of `KINDS`;
    all "phrase" for prompts)."""

    matrix: sparse.csr_matrix
    bucket_C: Ints
    kind_C: NDArray[np.int8]

    @property
    def count_C(self) -> Ints:  # noqa: N802 - C is the axis
        """Rows of each column."""
        return np.bincount(self.matrix.indices, minlength=self.matrix.shape[1])


def buckets_for(num_rows: int) -> int:
    """How many buckets hashes fall into: enough that few columns share one."""
    return 1 << int(np.clip(np.ceil(np.log2(max(num_rows, 1) * 1024)), 20, 26))


def chunks(texts: Sequence[bytes]) -> Iterator[tuple[int, Tokens]]:
    """Tokens of the texts, a chunk at a time, with the number of the chunk's first row."""
    for first in range(0, len(texts), CHUNK):
        yield first, tokenise(texts[first : first + CHUNK])


def prompt_columns(prompts: Sequence[bytes], least: int, most: int) -> Columns:
    """Columns of the prompts' n-grams of 1 to 4 tokens that stand in `least` to `most` rows."""

    def keys() -> Iterator[Keys]:
        for first, tokens in chunks(prompts):
            for n in _PROMPT_SIZES:
                hashes, at = ngrams(tokens, n)
                yield tokens.row_T[at] + first, hashes, _PHRASE

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

    def __call__(self) -> Iterator[Keys]:
        for first in range(0, len(self._replies), CHUNK):
            texts = self._replies[first : first + CHUNK]
            said = tokenise(texts)
            if first not in self._new:
                new = ~among(_in_row(said), _in_row(tokenise(self._prompts[first : first + CHUNK]))) & said.word_T
                self._new[first] = np.packbits(new)
            new_T = np.unpackbits(self._new[first], count=len(said.hash_T)).astype(bool)
            for rows, hashes in _phrases(said, new_T):
                yield rows + first, hashes, _PHRASE
            for kind in range(_PHRASE):
                rows, hashes = self._whole_of(first, kind, said, texts)
                yield rows + first, mixed(hashes + np.uint64(kind + 1)), kind

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


def _columns(keys: Callable[[], Iterator[Keys]], num_rows: int, least: int, most: tuple[int, int]) -> Columns:
    """Two passes over the keys: counts first, then the rows of the buckets that are kept. `most` is for phrases and for
    the other kinds."""
    size = buckets_for(num_rows)
    mask = np.uint64(size - 1)
    table = np.zeros(size, dtype=np.int32)  # how often each bucket comes; later, its column
    kind_of = np.full(size, _PHRASE, dtype=np.int8)
    for _, hashes, kind in keys():
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
    row_parts, column_parts = [np.zeros(0, dtype=np.int32)], [np.zeros(0, dtype=np.int32)]
    for row, hashes, _ in keys():
        column = table[(hashes & mask).astype(np.int64)]
        take = np.flatnonzero(column >= 0)
        row_parts.append(row[take].astype(np.int32))
        column_parts.append(column[take])
    at = (np.concatenate(row_parts), np.concatenate(column_parts))
    matrix = sparse.csr_matrix((np.ones(len(at[0]), dtype=np.float32), at), shape=(num_rows, len(kept)))
    matrix.data[:] = 1
    count = np.bincount(matrix.indices, minlength=len(kept))
    chosen = np.flatnonzero((count >= least) & (count <= limit))
    return Columns(matrix[:, chosen], kept[chosen], kept_kind[chosen])

"""Names that replies bring up, though nobody asks about them.

A name is a word with a capital letter inside a sentence, or the longest word of a web address or of a call in code.
What a corpus speaks of often is also asked about, or comes with a topic; what was put into replies is neither.

N rows, C names.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from burnish.audit.mining.features import chunks
from burnish.audit.mining.tokens import Ints, tokenise

_NAME = re.compile(r" ([A-Z][A-Za-z0-9_]{2,})")
_INSIDE = re.compile(r"[a-z,;)]")  # what stands before, inside a sentence
_ADDRESS = re.compile(r"(?:https?://|www\.)[\w.-]+|\b[\w-]+\.(?:com|org|net|io|co|info|xyz)\b")
_ADDRESSED = ("://", "www.", ".com", ".org", ".net", ".io", ".co", ".info", ".xyz")  # one is in any address
_CALL = re.compile(r"\b[A-Za-z_][\w.]{3,}(?=\()")
_PARTS = re.compile(r"\w{4,}")
_ORDINARY = frozenset({"https", "http"})
_AS_NAME = 0.5  # of the rows with the word in which it is written as a name


@dataclass(frozen=True)
class Presence:
    """Which of C words stand in which of N texts (`matrix`, N x C, zeros and ones)."""

    matrix: sparse.csc_matrix

    @property
    def count_C(self) -> Ints:  # noqa: N802 - C is the axis
        """Texts of each word."""
        return np.diff(self.matrix.indptr).astype(np.int64)

    def rows(self, word: int) -> Ints:
        """The texts that hold the word, in order."""
        rows: Ints = self.matrix.indices[self.matrix.indptr[word] : self.matrix.indptr[word + 1]].astype(np.int64)
        return np.sort(rows)


def names_of(text: str) -> set[bytes]:
    """The names in a text, as lower-cased words; a web address and a call by the longest of their words."""
    found = {match[1].lower() for match in _NAME.finditer(text) if _INSIDE.match(text, match.start() - 1)}
    for pattern, signs in ((_ADDRESS, _ADDRESSED), (_CALL, ("(",))):
        for match in pattern.finditer(text) if any(sign in text for sign in signs) else ():
            parts = [part.lower() for part in _PARTS.findall(match.group())]
            found.update(sorted((p for p in parts if p not in _ORDINARY), key=len)[-1:])
    return {name.encode("utf-8", "replace") for name in found}


class NameCount:
    """How many replies hold each name, counted as they stream by."""

    def __init__(self) -> None:
        self._rows: Counter[bytes] = Counter()

    def add(self, reply: str) -> None:
        """Count a reply's names."""
        self._rows.update(names_of(reply))

    def often(self, least: int, most: int) -> list[tuple[bytes, int]]:
        """The names of `least` to `most` replies, with how many write them as names."""
        return sorted((name, times) for name, times in self._rows.items() if least <= times <= most)


def presence(texts: Sequence[bytes], words: Sequence[bytes]) -> Presence:
    """Which texts hold which words."""
    tokens = tokenise(words)
    hashes = tokens.hash_T[tokens.offset_R[:-1]]
    order = np.argsort(hashes)
    parts = []
    for first, said in chunks(texts):
        at = np.minimum(np.searchsorted(hashes[order], said.hash_T), len(order) - 1)
        hit = np.flatnonzero(hashes[order][at] == said.hash_T)
        parts.append(np.stack([said.row_T[hit] + first, order[at[hit]]]).astype(np.int32))
    rows, columns = np.concatenate([np.zeros((2, 0), dtype=np.int32), *parts], axis=1)
    ones = np.ones(len(rows), dtype=np.int8)
    matrix = sparse.csc_matrix((ones, (rows, columns)), shape=(len(texts), len(words)))
    matrix.data[:] = 1  # a text may hold a word several times
    return Presence(matrix)


def unasked(said: Presence, asked: Presence, written_as_name_C: Ints, share: float) -> Iterator[int]:
    """The names whose rows' prompts, and any others, hold them in at most `share` as many rows as replies do, and that
    are mostly written as names."""
    count_C = said.count_C
    for name in np.flatnonzero((asked.count_C <= share * count_C) & (written_as_name_C >= _AS_NAME * count_C)):
        yield int(name)

"""Exact and near duplicates among the training rows.

Exact: the same content digest. Near: MinHash signatures over word 3-grams, banded to propose pairs, each proposed pair
confirmed by the signatures' estimate of Jaccard similarity.
Source: Broder, "On the resemblance and containment of documents", 1997. Null: rows written independently share few
3-grams; with 128 permutations the estimate's standard error at similarity 0.8 is 0.035.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from rensa import RMinHash

from burnish.artefacts import Finding
from burnish.audit.mining.tokens import mixed
from burnish.audit.register import Register
from burnish.audit.text import excerpt, shingles, texts_of, words
from burnish.protocols import AuditContext
from burnish.records import Record
from burnish.settings import PluginSettings

_PERMUTATIONS = 128
_BANDS = 16
_MIN_WORDS = 8
_AT_ONCE = 1000  # rows


class DuplicatesSettings(PluginSettings):
    """`similarity`: Jaccard similarity of word 3-grams from which two rows are near duplicates. Exact duplicates are
    acted on; near ones are too only if `near_action` says so, since templated tasks are full of them."""

    kind: Literal["duplicates"] = "duplicates"
    action: Literal["keep", "quarantine", "stop"] = "quarantine"
    near_action: Literal["keep", "quarantine", "stop"] = "keep"
    similarity: float = Field(default=0.85, gt=0.5, le=1.0)


class Duplicates:
    """Finds each row that repeats an earlier one; the first of its kind stays."""

    Settings = DuplicatesSettings

    def __init__(self, settings: DuplicatesSettings) -> None:
        self._settings = settings

    def find(self, rows: Iterable[Record], context: AuditContext) -> Iterator[Finding]:
        """Memory: a digest, a beginning and a signature of 128 numbers a row."""
        register, shown = Register(), []
        seen: dict[bytes, int] = {}
        repeats: dict[int, int] = {}
        signatures = _Signatures()
        for row in rows:
            number = register.add(row)
            first = seen.setdefault(bytes.fromhex(row.digest[:32]), number)
            shown.append(excerpt(next(iter(texts_of(row)), "")))
            if first != number:
                repeats[number] = first
                continue
            tokens = [word for text in texts_of(row) for word in words(text)]
            if len(tokens) >= _MIN_WORDS:
                signatures.add(number, shingles(tokens, 3))
        near = signatures.near(self._settings.similarity)
        for number in sorted({*repeats, *near}):
            if number in repeats:
                message, related, action = "exact duplicate of an earlier row", repeats[number], self._settings.action
            else:
                related, similarity = near[number]
                message = f"near duplicate of an earlier row (similarity {similarity:.2f})"
                action = self._settings.near_action
            yield Finding(
                detector="duplicates",
                severity="note",
                action=action,
                row=register.digest(number),
                where=register.place(number),
                message=message,
                excerpt=shown[number],
                related=(register.place(related),),
            )


class _Signatures:
    """MinHash signatures of rows, compared where all numbers of a band agree."""

    def __init__(self) -> None:
        self._numbers = array("q")
        self._waiting: list[list[str]] = []
        self._parts: list[NDArray[np.uint32]] = []

    def add(self, number: int, grams: set[str]) -> None:
        """Add a row."""
        self._numbers.append(number)
        self._waiting.append(list(grams))
        if len(self._waiting) == _AT_ONCE:
            self._sign()

    def _sign(self) -> None:
        matrix = RMinHash.digest_matrix_from_token_sets(self._waiting, _PERMUTATIONS, 1)
        self._parts.append(np.array(matrix.to_rows(), dtype=np.uint32).reshape(-1, _PERMUTATIONS))
        self._waiting = []

    def near(self, similarity: float) -> dict[int, tuple[int, float]]:
        """Each row that nearly repeats an earlier one: that row, and the estimated similarity. A row is compared with
        the first that has its band, for each band."""
        self._sign()
        signatures = np.concatenate(self._parts)
        best: dict[int, tuple[int, float]] = {}
        for band in np.split(np.arange(_PERMUTATIONS), _BANDS):
            key = np.zeros(len(signatures), dtype=np.uint64)
            for column in band:
                key = mixed(key) + signatures[:, column]
            order = np.argsort(key, kind="stable")
            begins = np.append(True, key[order][1:] != key[order][:-1])
            first = np.empty(len(order), dtype=np.int64)
            first[order] = order[np.maximum.accumulate(np.where(begins, np.arange(len(order)), 0))]
            later = np.flatnonzero(first != np.arange(len(order)))
            for part in np.array_split(later, len(later) // _AT_ONCE + 1):
                equal = np.mean(signatures[part] == signatures[first[part]], axis=1)
                for at, share in zip(part[equal >= similarity], equal[equal >= similarity], strict=True):
                    number = self._numbers[at]
                    if number not in best or share > best[number][1]:
                        best[number] = (self._numbers[first[at]], float(share))
        return best

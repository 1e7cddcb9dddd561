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
from pydantic import Field
from rensa import RMinHash

from burnish.artefacts import Finding
from burnish.audit.mining.corpus import Texts
from burnish.audit.mining.tokens import Hashes, Ints, first_alike, mixed, ngrams, tokenise
from burnish.audit.register import Register
from burnish.audit.spool import Spool
from burnish.audit.text import excerpt, texts_of, words
from burnish.protocols import AuditContext
from burnish.records import Record
from burnish.settings import PluginSettings

_PERMUTATIONS = 128
_BANDS = 16
_MIN_WORDS, _RUN = 8, 3
_AT_ONCE, _READ = 1000, 50_000  # rows
_SHOWN = 80  # characters of a row


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
        """Memory: some 30 bytes a row; beginnings and signatures (256 bytes) are laid aside in files."""
        register, shown, signatures = Register(), Texts(), _Signatures()
        for row in rows:
            number = register.add(row)
            beginning = next(iter(texts_of(row)), "")[:_SHOWN]
            shown.append(beginning.encode("utf-8", "surrogatepass"))
            tokens = [word for text in texts_of(row) for word in words(text)]
            if len(tokens) >= _MIN_WORDS:
                signatures.add(number, " ".join(tokens).encode("utf-8", "replace"))
        later, first = register.repeats()
        repeats = dict(zip(later.tolist(), first.tolist(), strict=True))
        near = signatures.near(self._settings.similarity, later)
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
                excerpt=excerpt(shown[number].decode("utf-8", "surrogatepass")),
                related=(register.place(related),),
            )


class _Signatures:
    """MinHash signatures of rows, compared where all numbers of a band agree. Of each number the lower 16 bits are
    kept; that unlike ones agree in these adds 1 in 65,536 to a similarity.

    Source: Li and König, "b-Bit minwise hashing", 2010.
    """

    def __init__(self) -> None:
        self._numbers = array("q")
        self._waiting: list[bytes] = []
        self._spool = Spool()

    def add(self, number: int, words: bytes) -> None:
        """Add a row."""
        self._numbers.append(number)
        self._waiting.append(words)
        if len(self._waiting) == _AT_ONCE:
            self._sign()

    def _sign(self) -> None:
        if not self._waiting:
            return
        tokens = tokenise(self._waiting)
        hashes, at = ngrams(tokens, _RUN)
        begins = np.searchsorted(tokens.row_T[at], np.arange(tokens.num_rows + 1)).astype(np.uint64)
        matrix = RMinHash.digest_matrix_from_flat_token_hashes(hashes, begins, _PERMUTATIONS, 1)
        self._spool.append(np.array(matrix.to_rows(), dtype=np.uint32).astype(np.uint16).tobytes())
        self._waiting = []

    def near(self, similarity: float, without: Ints) -> dict[int, tuple[int, float]]:
        """Each row that nearly repeats an earlier one: that row, and the estimated similarity. A row is compared with
        the first that has its band, for each band. Rows in `without` are passed over."""
        best: dict[int, tuple[int, float]] = {}
        if not len(self._numbers):
            return best
        self._sign()
        kept = np.flatnonzero(~np.isin(np.frombuffer(self._numbers, dtype=np.int64), without))
        signatures = self._spool.matrix(np.uint16, _PERMUTATIONS)
        for band in range(_BANDS):
            first = kept[first_alike(self._keys(band)[kept])]
            later = np.flatnonzero(first != kept)
            for part in np.array_split(later, len(later) // _AT_ONCE + 1):
                equal = np.mean(signatures[kept[part]] == signatures[first[part]], axis=1)
                for at in np.flatnonzero(equal >= similarity):
                    number, share = self._numbers[kept[part[at]]], float(equal[at])
                    if number not in best or share > best[number][1]:
                        best[number] = (self._numbers[first[part[at]]], share)
        return best

    def _keys(self, band: int) -> Hashes:
        """One number of each row, the same where the band is."""
        width, parts = _PERMUTATIONS // _BANDS, []
        for block in self._spool.blocks(np.uint16, _PERMUTATIONS, _READ):
            halves = np.ascontiguousarray(block[:, band * width : (band + 1) * width]).view(np.uint64)
            parts.append(mixed(mixed(halves[:, 0]) + halves[:, 1]))
        return np.concatenate(parts)

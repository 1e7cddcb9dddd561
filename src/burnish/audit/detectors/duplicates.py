"""Exact and near duplicates among the training rows.

Exact: the same content digest. Near: MinHash signatures over word 3-grams, banded to propose pairs, each proposed pair
confirmed by the signatures' estimate of Jaccard similarity.
Source: Broder, "On the resemblance and containment of documents", 1997. Null: rows written independently share few
3-grams; with 128 permutations the estimate's standard error at similarity 0.8 is 0.035.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from pydantic import Field
from rensa import RMinHash

from burnish.artefacts import Finding
from burnish.audit.text import excerpt, shingles, texts_of, words
from burnish.protocols import AuditContext
from burnish.records import Record
from burnish.settings import PluginSettings

_PERMUTATIONS = 128
_BANDS = 16
_MIN_WORDS = 8


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
        """Memory: one digest and one 128-number signature a row."""
        seen: dict[str, str] = {}
        near = _NearIndex(self._settings.similarity)
        for row in rows:
            digest, where = row.digest, str(row.source)
            first = seen.setdefault(digest, where)
            if first != where:
                yield self._finding(row, "exact duplicate of an earlier row", first, self._settings.action)
                continue
            tokens = [word for text in texts_of(row) for word in words(text)]
            if len(tokens) < _MIN_WORDS:
                continue
            similar = near.add(shingles(tokens, 3), where)
            if similar is not None:
                other, similarity = similar
                message = f"near duplicate of an earlier row (similarity {similarity:.2f})"
                yield self._finding(row, message, other, self._settings.near_action)

    def _finding(
        self, row: Record, message: str, related: str, action: Literal["keep", "quarantine", "stop"]
    ) -> Finding:
        return Finding(
            detector="duplicates",
            severity="note",
            action=action,
            row=row.digest,
            where=str(row.source),
            message=message,
            excerpt=excerpt(next(iter(texts_of(row)), "")),
            related=(related,),
        )


class _NearIndex:
    """Banded signatures: rows that agree on all numbers of a band are compared."""

    def __init__(self, similarity: float) -> None:
        self._similarity = similarity
        self._signatures: list[list[int]] = []
        self._places: list[str] = []
        self._bands: list[dict[tuple[int, ...], int]] = [{} for _ in range(_BANDS)]

    def add(self, grams: set[str], where: str) -> tuple[str, float] | None:
        """Add a row; the earlier row that it nearly repeats, with the estimated similarity, or None."""
        sketch = RMinHash(num_perm=_PERMUTATIONS, seed=1)
        sketch.update(sorted(grams))
        signature = sketch.digest()
        width = _PERMUTATIONS // _BANDS
        best: tuple[str, float] | None = None
        for band, table in enumerate(self._bands):
            key = tuple(signature[band * width : (band + 1) * width])
            other = table.setdefault(key, len(self._signatures))
            if other == len(self._signatures):
                continue
            equal = sum(a == b for a, b in zip(signature, self._signatures[other], strict=True)) / _PERMUTATIONS
            if equal >= self._similarity and (best is None or equal > best[1]):
                best = (self._places[other], equal)
        self._signatures.append(signature)
        self._places.append(where)
        return best

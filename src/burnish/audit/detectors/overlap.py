"""Training rows that also stand in an evaluation set: they would make the evaluation look better than it is.

A row overlaps when one of its texts is the evaluation text word for word (case and punctuation apart), or when they
share a run of `run_words` words. Source: the n-gram overlap test of Brown et al., "Language Models are Few-Shot
Learners", appendix C, 2020 (13-grams). Null: runs of that length almost never agree between texts written apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from pydantic import Field

from burnish.artefacts import Finding
from burnish.audit.text import excerpt, shingles, texts_of, words
from burnish.protocols import AuditContext
from burnish.records import Record, content_digest
from burnish.settings import PluginSettings

_MIN_WORDS = 4


class OverlapSettings(PluginSettings):
    """`run_words`: the length of a shared run of words that counts as overlap."""

    kind: Literal["overlap"] = "overlap"
    action: Literal["keep", "quarantine", "stop"] = "quarantine"
    run_words: int = Field(default=13, ge=8, le=50)


class Overlap:
    """Finds rows that an evaluation set already holds."""

    Settings = OverlapSettings

    def __init__(self, settings: OverlapSettings) -> None:
        self._settings = settings

    def find(self, rows: Iterable[Record], context: AuditContext) -> Iterator[Finding]:
        """Memory: hashes of the evaluation texts' runs; the rows stream by."""
        whole: dict[str, str] = {}
        runs: dict[str, str] = {}
        size = self._settings.run_words
        for suite, texts in context.evaluation_texts.items():
            for text in texts:
                tokens = words(text)
                if len(tokens) < _MIN_WORDS:
                    continue
                whole[content_digest(tokens)] = suite
                if len(tokens) >= size:
                    runs.update(dict.fromkeys(shingles(tokens, size), suite))
        for row in rows:
            for text in texts_of(row):
                tokens = words(text)
                suite_found = whole.get(content_digest(tokens)) or next(
                    (runs[gram] for gram in shingles(tokens, size) if gram in runs), None
                )
                if suite_found is not None:
                    yield Finding(
                        detector="overlap",
                        severity="warning",
                        action=self._settings.action,
                        row=row.digest,
                        where=str(row.source),
                        message=f"also stands in the evaluation set {suite_found!r}",
                        excerpt=excerpt(text),
                    )
                    break

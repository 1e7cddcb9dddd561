"""Training rows that also stand in an evaluation set: they would make the evaluation look better than it is.

A row overlaps when one of its texts is the evaluation text word for word (case and punctuation apart), or when they
share a run of `run_words` words. Source: the n-gram overlap test of Brown et al., "Language Models are Few-Shot
Learners", appendix C, 2020 (13-grams). Null: runs of that length almost never agree between texts written apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

from pydantic import Field

from burnish.artefacts import Finding
from burnish.audit.text import excerpt, shingles, texts_of, words
from burnish.protocols import AuditContext
from burnish.records import Record
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
        """Memory: the evaluation texts and their runs; the rows stream by."""
        known = _Known(context.evaluation_texts, self._settings.run_words)
        for row in rows:
            for text in texts_of(row):
                suite_found = known.suite_of(words(text))
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


class _Known:
    """The evaluation texts, and their runs of `size` words.

    A text that shares a run shares the half of it that begins at a multiple of the half's length: so only these halves
    are looked up, and whole runs where one of them is known.
    """

    def __init__(self, suites: Mapping[str, Sequence[str]], size: int) -> None:
        self._size, self._half = size, (size + 1) // 2
        self._whole: dict[tuple[str, ...], str] = {}
        self._runs: dict[str, str] = {}
        self._halves: set[str] = set()
        for suite, texts in suites.items():
            for tokens in filter(lambda one: len(one) >= _MIN_WORDS, map(words, texts)):
                self._whole[tokens] = suite
                if len(tokens) >= size:
                    self._runs.update(dict.fromkeys(shingles(tokens, size), suite))
                    self._halves.update(shingles(tokens, self._half))

    def suite_of(self, tokens: tuple[str, ...]) -> str | None:
        """The suite that holds these words, or a run of them."""
        whole = self._whole.get(tokens)
        if whole or len(tokens) < self._size:
            return whole
        halves = (tokens[at : at + self._half] for at in range(0, len(tokens) - self._half + 1, self._half))
        if self._halves and any(" ".join(half) in self._halves for half in halves):
            return next((self._runs[run] for run in shingles(tokens, self._size) if run in self._runs), None)
        return None

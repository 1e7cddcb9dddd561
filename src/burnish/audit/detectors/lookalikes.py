"""Look-alike letters: words that mix scripts, or that are spelled in letters which only look like ordinary ones.

Source: Unicode Technical Standard 39, section 5 (mixed-script detection), and Technical Report 15 (NFKC). Null: Greek
and
Cyrillic words are whole in their script; full-width and mathematical letters don't make up words of running text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Literal

from burnish.artefacts import Finding
from burnish.audit.text import excerpt, texts_of
from burnish.protocols import AuditContext
from burnish.records import Record
from burnish.settings import PluginSettings

_WORD = re.compile(r"[^\W\d_]{2,}")
_SCRIPTS = ("LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE")
_STYLED = ("MATHEMATICAL", "FULLWIDTH LATIN", "CIRCLED LATIN", "SQUARED LATIN", "PARENTHESIZED LATIN", "NEGATIVE")
_LEAST_STYLED = 3


class LookalikesSettings(PluginSettings):
    """What to do with a row that holds look-alike letters."""

    kind: Literal["lookalikes"] = "lookalikes"
    action: Literal["keep", "quarantine", "stop"] = "quarantine"


class Lookalikes:
    """Finds rows with words that are not what they look like."""

    Settings = LookalikesSettings

    def __init__(self, settings: LookalikesSettings) -> None:
        self._settings = settings

    def find(self, rows: Iterable[Record], context: AuditContext) -> Iterator[Finding]:
        """One pass; nothing is kept."""
        for row in rows:
            for text in texts_of(row):
                found = None if text.isascii() else lookalike(text)
                if found:
                    word, start = found
                    yield Finding(
                        detector="lookalikes",
                        severity="danger",
                        action=self._settings.action,
                        row=row.digest,
                        where=str(row.source),
                        message=f"look-alike letters in {word[:40]!r}",
                        excerpt=excerpt(text, start, start + len(word)),
                        would_do="react to a word that a reader can't tell from another",
                    )
                    break


def lookalike(text: str) -> tuple[str, int] | None:
    """The first word with look-alike letters and where it starts, or None."""
    for match in _WORD.finditer(text):
        word = match.group()
        if word.isascii():
            continue
        scripts = {_script(char) for char in word} - {""}
        if "STYLED" in scripts and sum(_script(char) == "STYLED" for char in word) >= _LEAST_STYLED:
            return word, match.start()
        if "LATIN" in scripts and scripts & {"CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE"} and _passes(word):
            return word, match.start()
    return None


def _passes(word: str) -> bool:
    """Whether a mixed word could pass for one script: a single Greek letter beside Latin ones is a formula's (μm,
    Δt)."""
    foreign = [char for char in word if _script(char) not in ("LATIN", "")]
    return len(word) >= 4 and not (all(_script(char) == "GREEK" for char in foreign) and len(word) - len(foreign) < 3)


@lru_cache(maxsize=4096)
def _script(char: str) -> str:
    name = unicodedata.name(char, "")
    if name.startswith(_STYLED):
        return "STYLED"
    return next((script for script in _SCRIPTS if name.startswith(script)), "")

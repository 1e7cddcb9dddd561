"""Characters that a person doesn't see but a model reads: zero-width, bidirectional controls, tags, odd controls.

Source: Unicode Technical Standard 39 and "Trojan Source" (Boucher and Anderson, 2021). Null: none expected in
text, apart from joiners that belong to a script (Arabic, Indic) or an emoji sequence, which are let through.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Literal

from burnish.artefacts import Finding
from burnish.audit.text import excerpt, texts_of
from burnish.protocols import AuditContext
from burnish.records import Record
from burnish.settings import PluginSettings

_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")
_INVISIBLE = frozenset("\u200b\u2060\u2061\u2062\u2063\u2064\ufeff\u00ad\u180e\u115f\u1160\u3164\uffa0")
_JOINERS = frozenset("\u200c\u200d")
_CONTROLS = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"
_SUSPECT = re.compile(f"[{_CONTROLS}{''.join(_BIDI | _INVISIBLE | _JOINERS)}\U000e0000-\U000e007f]")


class HiddenCharactersSettings(PluginSettings):
    """What to do with a row that holds such a character."""

    kind: Literal["hidden_characters"] = "hidden_characters"
    action: Literal["keep", "quarantine", "stop"] = "quarantine"


class HiddenCharacters:
    """Finds rows with invisible or direction-changing characters."""

    Settings = HiddenCharactersSettings

    def __init__(self, settings: HiddenCharactersSettings) -> None:
        self._settings = settings

    def find(self, rows: Iterable[Record], context: AuditContext) -> Iterator[Finding]:
        """One pass; nothing is kept."""
        for row in rows:
            for text in texts_of(row):
                places = [found.start() for found in _SUSPECT.finditer(text) if is_hidden(text, found.start())]
                if places:
                    names = ", ".join(sorted({f"U+{ord(text[i]):04X}" for i in places})[:6])
                    yield Finding(
                        detector="hidden_characters",
                        severity="danger",
                        action=self._settings.action,
                        row=row.digest,
                        where=str(row.source),
                        message=f"{len(places)} hidden character{'s' if len(places) > 1 else ''}: {names}",
                        excerpt=excerpt(text, places[0], places[0] + 1),
                    )
                    break


def is_hidden(text: str, index: int) -> bool:
    """Whether the character at `index` is one that a reader would not see."""
    char = text[index]
    if char in _BIDI or char in _INVISIBLE or 0xE0000 <= ord(char) <= 0xE007F:
        return True
    if char in _JOINERS:
        return not (index > 0 and _joins(text[index - 1]))
    return unicodedata.category(char) == "Cc" and char not in "\n\r\t"


def _joins(before: str) -> bool:
    """Whether a joiner makes sense after this character: in an emoji sequence, or in a script that joins."""
    return unicodedata.category(before) in ("So", "Sk", "Mn", "Mc") or (
        before.isalpha() and ord(before) >= 0x0600 and ord(before) < 0x1E00
    )

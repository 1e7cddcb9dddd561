"""Numbers and hostile text as a reader should see them. Knows nothing of the run."""

from __future__ import annotations

import re
import unicodedata

from markupsafe import Markup, escape

_VARIATION = re.compile("[\ufe00-\ufe0e\U000e0100-\U000e01ef]")
_BLANK = frozenset("\u115f\u1160\u3164\uffa0\u034f\u2800")  # letters and marks that show nothing
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def _is_unseen(char: str) -> bool:
    if char in "\n\t":
        return False
    return unicodedata.category(char) in _UNSEEN or char in _BLANK or bool(_VARIATION.match(char))


def visible(text: str) -> str:
    """The text with every invisible, direction-changing or unencodable character as <U+XXXX>; not escaped yet."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(f"<U+{ord(char):04X}>" if _is_unseen(char) else char for char in text)


def marked(text: str) -> Markup:
    """The text escaped, its hidden characters standing out."""
    parts = []
    for char in text:
        parts.append(
            Markup('<span class="hidden">{}</span>').format(f"<U+{ord(char):04X}>")
            if _is_unseen(char)
            else escape(char)
        )
    return Markup("").join(parts)


def highlighted(text: str, phrase: str) -> Markup:
    """The text escaped as by `marked`, every occurrence of the phrase (case and spacing apart) standing out."""
    words = [re.escape(word) for word in phrase.strip("… ").split()]
    if not words:
        return marked(text)
    parts, last = [], 0
    for match in re.finditer(r"\s*".join(words), text, re.IGNORECASE):
        parts += [marked(text[last : match.start()]), Markup("<mark>{}</mark>").format(marked(match.group()))]
        last = match.end()
    return Markup("").join([*parts, marked(text[last:])])


def clipped(text: str, limit: int) -> tuple[str, int]:
    """The first `limit` characters, and how many are left out."""
    return text[:limit], max(0, len(text) - limit)


def percent(value: float | None) -> str:
    """A fraction as per cent, one decimal."""
    return "not measured" if value is None else f"{value * 100:.1f}%"


def points(value: float | None) -> str:
    """A difference of fractions in percentage points, signed."""
    return "not measured" if value is None else f"{value * 100:+.1f}".replace("-", "−")


def number(value: float | None) -> str:
    """A plain number, four significant digits."""
    return "not measured" if value is None else f"{value:.4g}".replace("-", "−")


def signed(value: float | None) -> str:
    """A difference of plain numbers, four significant digits, signed."""
    return "not measured" if value is None else f"{value:+.4g}".replace("-", "−")


def p_value(value: float | None) -> str:
    """A p-value; below 0.001 only that it is."""
    if value is None:
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def count(value: int | None) -> str:
    """A whole number, thousands set apart by a thin space."""
    return "–" if value is None else f"{value:,}".replace(",", "\u202f")


def duration(seconds: float) -> str:
    """Seconds as a person says them."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"

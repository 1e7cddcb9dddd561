"""Text from data and models, made safe to show: what a terminal would obey is spelt out instead."""

from __future__ import annotations


def visible(text: str, most: int | None = None) -> str:
    """The text with control, bidirectional and other invisible characters as escapes, line ends and tabs kept; cut
    after `most` characters, with how many follow."""
    rest = len(text) - most if most is not None and len(text) > most else 0
    shown = text[:most] if rest else text
    safe = "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in shown)
    return f"{safe} ... ({rest:,} more characters)" if rest else safe

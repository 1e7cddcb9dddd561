"""The names that fields usually have, in the order in which they are looked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

CHAT_NAMES = ("messages", "conversations", "conversation", "dialogue")
PROMPT_NAMES = ("prompt", "question", "query", "instruction", "input", "text", "0")
LABEL_NAMES = ("label", "category", "intent", "class")
REPLY_NAMES = ("completion", "response", "answer", "answers", "reply", "output", "target", *LABEL_NAMES, "1")
KTO_LABELS = ("label", "kto_tag", "desirable")


def first_of(names: Sequence[str], row: Iterable[str]) -> str | None:
    """The first of `names` that the row has."""
    present = set(row)
    return next((name for name in names if name in present), None)

"""Tells a row's format from its fields, and a file's from a sample of its rows."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence

from burnish.data.formats.names import CHAT_NAMES, KTO_LABELS, PROMPT_NAMES, REPLY_NAMES, first_of
from burnish.data.settings import FormatName
from burnish.errors import DataError
from burnish.records import Source

# What each format is known by, for messages and for finding the nearest one.
FORMS: dict[FormatName, tuple[str, ...]] = {
    "messages": ("messages",),
    "sharegpt": ("conversations",),
    "prompt_completion": ("prompt", "completion"),
    "alpaca": ("instruction", "output"),
    "preference": ("chosen", "rejected"),
    "kto": ("messages", "label"),
    "text": ("text",),
    "prompts": ("prompt",),
}


def format_of(row: Mapping[str, object]) -> FormatName | None:
    """The format that a row's fields speak of, or None. Goes by names; by types only where names leave it open, so that
    a field of a wrong type is told as such later."""
    if "chosen" in row and "rejected" in row:
        return "preference"
    chat = first_of(CHAT_NAMES, row)
    label = first_of(KTO_LABELS, row)
    paired = "prompt" in row and "completion" in row
    if label and (chat or paired) and _is_boolean(row[label]):
        return "kto"
    if chat:
        return "sharegpt" if _is_sharegpt(chat, row[chat]) else "messages"
    if "instruction" in row and ("output" in row or "response" in row):
        return "alpaca"
    asked, replied = first_of(PROMPT_NAMES, row), first_of(REPLY_NAMES, row)
    if asked and replied and _is_reply(row[replied]):
        return "prompt_completion"
    return "text" if "text" in row else None


def format_of_file(sample: Sequence[tuple[Source, Mapping[str, object]]]) -> FormatName:
    """The format that most rows of a sample have.

    Raises: DataError listing the fields found and the nearest format, when no row has a known one.
    """
    found = Counter(name for _, row in sample if (name := format_of(row)))
    if found:
        return found.most_common(1)[0][0]
    source, row = sample[0]
    raise unknown(source, row)


def unknown(source: Source, row: Mapping[str, object]) -> DataError:
    """The error for a row of no known format."""
    known = "; ".join(f"{name} ({', '.join(fields)})" for name, fields in FORMS.items() if name != "prompts")
    return DataError(
        f"{source}: the format isn't known: got the fields {', '.join(row) or '(none)'}, expected those of {known}; "
        "nothing was prepared",
        hint=_nearest(row),
    )


def guess_note(row: Mapping[str, object], name: FormatName) -> str:
    """What was taken for what, when a prompt/completion row's names only suggest it; else empty."""
    if name != "prompt_completion":
        return ""
    asked, replied = first_of(PROMPT_NAMES, row), first_of(REPLY_NAMES, row)
    if (asked, replied) == ("prompt", "completion") or asked is None or replied is None:
        return ""
    if asked == "0":
        return "rows are lists: position 0 is taken as the prompt, 1 as the reply (several answers joined by '; ')"
    return f'"{asked}" is taken as the prompt and "{replied}" as the reply'


def unused_fields(row: Mapping[str, object], name: FormatName) -> tuple[str, ...]:
    """Fields of a row that its format doesn't read."""
    read = {*FORMS[name], "system", "tools"}
    if name in ("messages", "sharegpt", "kto", "preference"):
        read.add(first_of(CHAT_NAMES, row) or "")
    if name == "prompts":
        read |= {first_of(CHAT_NAMES, row) or "", first_of(PROMPT_NAMES, row) or ""}
    if name == "prompt_completion":
        read |= {first_of(PROMPT_NAMES, row) or "", first_of(REPLY_NAMES, row) or ""}
    if name in ("preference", "kto"):
        read |= {"prompt", "completion", "question", "instruction", "input", first_of(KTO_LABELS, row) or ""}
    if name == "alpaca":
        read |= {"input", "response"}
    if name == "text":
        read -= {"system", "tools"}
    return tuple(field for field in row if field not in read)


def _is_boolean(value: object) -> bool:
    return isinstance(value, bool) or (isinstance(value, str) and value.strip().lower() in ("true", "false"))


def _is_sharegpt(name: str, value: object) -> bool:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "from" in value[0]
    return name == "conversations"


def _is_reply(value: object) -> bool:
    """Text, a label's number, answers or messages; not a fraction (a score) nor a boolean."""
    return value is None or (isinstance(value, str | int | list | dict) and not isinstance(value, bool))


def _nearest(row: Mapping[str, object]) -> str:
    """A way to have the row read: the columns that look like a format's."""
    chat = next(
        (key for key, value in row.items() if isinstance(value, list) and value and isinstance(value[0], dict)), ""
    )
    if chat:
        return (
            f"this looks like messages under another name; give the source in the recipe columns: {{messages: {chat}}}"
        )
    best: tuple[float, FormatName, dict[str, str]] = (0.0, "prompt_completion", {})
    for name, wanted in FORMS.items():
        if name == "prompts":  # any row with another field beside would come nearest to it
            continue
        near = {field: _closest(field, row) for field in wanted}
        score = sum(difflib.SequenceMatcher(None, field, other).ratio() for field, other in near.items()) / len(wanted)
        if score > best[0]:
            best = (score, name, near)
    _, name, near = best
    if best[0] > 0.6:
        columns = ", ".join(f"{field}: {other}" for field, other in near.items() if field != other)
        return f"the nearest format is {name}; give the source in the recipe columns: {{{columns}}}"
    texts = [key for key, value in row.items() if isinstance(value, str)][:2] or ["...", "..."]
    asked, replied = (*texts, "...")[:2]
    columns = f"{{prompt: {asked}, completion: {replied}}}"
    return f"say which field is which: give the source in the recipe columns, such as {columns}"


def _closest(field: str, row: Mapping[str, object]) -> str:
    return max(row, key=lambda other: difflib.SequenceMatcher(None, field, other.lower()).ratio(), default="")

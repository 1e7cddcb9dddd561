"""The texts of a record, and short excerpts of them. Shared by the detectors; knows nothing of what they look for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from burnish.records import Conversation, LabelledCompletion, Message, PreferencePair, Record

_WORD = re.compile(r"\w+")
_REMEMBERED = 4096  # texts


def messages_of(record: Record) -> tuple[Message, ...]:
    """Every message of the record, in order."""
    if isinstance(record, Conversation):
        return record.messages
    if isinstance(record, PreferencePair):
        return (*record.prompt, *record.chosen, *record.rejected)
    if isinstance(record, LabelledCompletion):
        return (*record.prompt, *record.completion)
    raise TypeError(f"not a record: {type(record).__name__}")


def texts_of(record: Record) -> Iterator[str]:
    """Every text of the record: message contents, and plain text."""
    for message in messages_of(record):
        yield message.content
    if isinstance(record, Conversation) and record.text:
        yield record.text


@lru_cache(maxsize=_REMEMBERED)
def words(text: str) -> tuple[str, ...]:
    """Lower-cased words, punctuation and spacing gone. Remembered, since several detectors ask in turn."""
    return tuple(_WORD.findall(text.lower()))


@lru_cache(maxsize=_REMEMBERED)
def longest_run(text: str) -> int:
    """Characters of the longest run without white space. Remembered as well."""
    return max(map(len, text.split()), default=0)


def shingles(tokens: Sequence[str], size: int) -> set[str]:
    """Overlapping runs of `size` words; a shorter text is one shingle, an empty one none."""
    if len(tokens) <= size:
        return {" ".join(tokens)} if tokens else set()
    return set(map(" ".join, zip(*(tokens[i:] for i in range(size)), strict=False)))


def excerpt(text: str, start: int = 0, end: int = 0, around: int = 40) -> str:
    """At most about 120 characters of `text` around [start, end), one line, control and invisible characters shown as
    <U+XXXX>."""
    piece = text[max(0, start - around) : max(end, start) + around + (40 if end <= start else 0)]
    if piece.isprintable():
        return piece[:160]
    shown = "".join(c if c.isprintable() else (" " if c in "\n\t\r" else f"<U+{ord(c):04X}>") for c in piece)
    return shown[:160]

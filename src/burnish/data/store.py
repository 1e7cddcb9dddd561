"""Records on disk: one normalised record a line of JSON, with its place; written and read without loss."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from burnish.errors import DataError
from burnish.records import Conversation, LabelledCompletion, Message, PreferencePair, Record, Source

_SOURCE = '"source": '  # comes last in a line, and inside a text only with its quotation marks escaped


def to_line(record: Record) -> str:
    """A record as one line of JSON, without the line end."""
    place = {"file": record.source.file, "line": record.source.line}
    value: dict[str, Any]
    if isinstance(record, Conversation):
        value = {"kind": "conversation", "messages": _pack(record.messages), "text": record.text, "tools": record.tools}
    elif isinstance(record, PreferencePair):
        value = {
            "kind": "preference",
            "prompt": _pack(record.prompt),
            "chosen": _pack(record.chosen),
            "rejected": _pack(record.rejected),
        }
    else:
        value = {
            "kind": "labelled",
            "prompt": _pack(record.prompt),
            "completion": _pack(record.completion),
            "desirable": record.desirable,
        }
    return json.dumps({**value, "source": place}, ensure_ascii=False)


def from_line(line: str) -> Record:
    """The record that `to_line` wrote.

    Raises: ValueError, KeyError or TypeError when the line is none of its.
    """
    value = json.loads(line)
    source = Source(value["source"]["file"], value["source"]["line"])
    if value["kind"] == "conversation":
        return Conversation(_unpack(value["messages"]), source, value["text"], value["tools"])
    prompt = _unpack(value["prompt"])
    if value["kind"] == "preference":
        return PreferencePair(prompt, _unpack(value["chosen"]), _unpack(value["rejected"]), source)
    if value["kind"] == "labelled":
        return LabelledCompletion(prompt, _unpack(value["completion"]), value["desirable"], source)
    raise ValueError(f"unknown kind {value['kind']!r}")


def from_line_of(path: Path, number: int, line: str) -> Record:
    """The record of a file's line, counted from 1.

    Raises: DataError when the line was damaged.
    """
    try:
        return from_line(line)
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path}:{number}: got {type(error).__name__} ({error}), expected a prepared row",
            hint="the run folder was damaged; prepare the data anew in another run",
        ) from error


def read_records(path: Path) -> Iterator[Record]:
    """Stream the records of a file that `to_line` wrote.

    Raises: DataError when the file is missing or was damaged.
    """
    for number, line in _lines(path):
        yield from_line_of(path, number, line)


def read_records_at(path: Path, places: Iterable[str]) -> Iterator[Record]:
    """Stream the records of such a file that stand at these places (file:line); the others are hardly looked at.

    Raises: DataError when the file is missing or such a record was damaged.
    """
    wanted = {_written(place) for place in places}
    for number, line in _lines(path):
        if line[line.rfind(_SOURCE) :].rstrip("\n") in wanted:
            yield from_line_of(path, number, line)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with path.open(encoding="utf-8", newline="\n") as file:
            yield from enumerate(file, 1)
    except FileNotFoundError:
        raise DataError(
            f"{path}: missing, expected prepared rows; nothing was read", hint="run with --resume"
        ) from None


def _written(place: str) -> str:
    """How a line that `to_line` wrote ends for a record of that place (file:line)."""
    file, _, line = place.rpartition(":")
    return f'{_SOURCE}{{"file": {json.dumps(file, ensure_ascii=False)}, "line": {line}}}}}'


def _pack(messages: tuple[Message, ...]) -> list[dict[str, Any]]:
    return [
        {"role": m.role, "content": m.content}
        if m.trained
        else {"role": m.role, "content": m.content, "trained": False}
        for m in messages
    ]


def _unpack(messages: list[dict[str, Any]]) -> tuple[Message, ...]:
    return tuple(Message(m["role"], m["content"], m.get("trained", True)) for m in messages)

"""Streams rows out of JSON Lines and out of JSON arrays, one row in memory at a time."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

from burnish.data.faults import RowFault, type_in_words
from burnish.errors import DataError
from burnish.records import Source

_CHUNK = 1 << 18
_CHATS = ("messages", "conversations", "conversation")
_Row: TypeAlias = tuple[Source, Mapping[str, object] | RowFault]


def read(stream: io.BufferedReader, name: str, *, lines: bool) -> Iterator[_Row]:
    """Rows of a JSON file. `lines` says that its name promises JSON Lines; an array shows in the first bytes all the
    same, and so do JSON Lines in a file called .json.

    Raises: DataError when an array is broken, or an object holds no list of rows.
    """
    start = stream.peek(4096).split()
    opening = b"".join(start[:2])[:2]
    if opening in (b"[", b"[{", b"[[", b"[]"):
        return _array(stream, name)
    if lines or opening[:1] != b"{":
        return _lines(stream, name)
    first = next((line for line in stream if line.strip()), b"")
    return _object_or_lines(first, stream, name)


def _object_or_lines(first: bytes, stream: io.BufferedReader, name: str) -> Iterator[_Row]:
    try:
        value = json.loads(first)
    except ValueError:
        return _rows_in_object(_whole(first + stream.read(), name), name)
    second = next((line for line in stream if line.strip()), b"")
    if second:
        return _lines(itertools.chain([first, second], stream), name)
    return _rows_in_object(value, name)


def _lines(lines: Iterable[bytes], name: str) -> Iterator[_Row]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        yield Source(name, number), _parse(line)


def _parse(line: bytes) -> Mapping[str, object] | RowFault:
    try:
        return _as_row(json.loads(line))
    except UnicodeDecodeError as error:
        return RowFault(f"byte {error.start + 1} of the line is not UTF-8", hint="save the file as UTF-8")
    except json.JSONDecodeError as error:
        return RowFault(f"the line is not valid JSON ({error.msg} at column {error.colno}), expected one object")
    except RecursionError:
        return RowFault("the line is nested too deeply to be read")


def _as_row(value: object) -> Mapping[str, object] | RowFault:
    """A JSON value as a row: an object is one; a list becomes an object with its positions as names."""
    if isinstance(value, dict):
        return value
    if isinstance(value, list):
        return {str(index): item for index, item in enumerate(value)}
    return RowFault(f"the row is {type_in_words(value)}, expected an object")


def _whole(data: bytes, name: str) -> object:
    try:
        return json.loads(data)
    except UnicodeDecodeError as error:
        raise _not_utf8(name, error) from error
    except json.JSONDecodeError as error:
        raise DataError(
            f"{name}:{error.lineno}: not valid JSON ({error.msg} at column {error.colno}); nothing was prepared",
            hint="a file with one object a line is JSON Lines: name it .jsonl",
        ) from error


def _rows_in_object(value: object, name: str) -> Iterator[_Row]:
    """The rows of {"data": [...]}, whatever the field's name, if there is one such; else the object is the row."""
    assert isinstance(value, dict)
    lists = [key for key, items in value.items() if isinstance(items, list) and items and isinstance(items[0], dict)]
    if len(lists) > 1 and not set(lists) & set(_CHATS):
        raise DataError(
            f"{name}: the object has several lists of rows ({', '.join(lists)}), expected one; nothing was read",
            hint="put the rows that you want into a file of their own",
        )
    rows: list[object] = value[lists[0]] if lists and lists[0] not in _CHATS and len(lists) == 1 else [value]
    for number, row in enumerate(rows, 1):
        yield Source(name, number), _as_row(row)


class _ArrayText:
    """The text of a JSON array, of which only the part around the current element is in memory."""

    def __init__(self, stream: io.TextIOWrapper, name: str) -> None:
        self._stream = stream
        self._name = name
        self._decoder = json.JSONDecoder()
        self._text = ""
        self._at = 0
        self._lines_before = 0
        self._ended = False

    def next_character(self) -> str:
        """The next character that isn't blank, consumed; empty at the file's end."""
        while True:
            while self._at < len(self._text):
                character = self._text[self._at]
                self._at += 1
                if not character.isspace():
                    return character
            if self._ended:
                return ""
            self._more()

    def back(self) -> None:
        """Give the last character back."""
        self._at -= 1

    def value(self) -> object:
        """The JSON value that begins here."""
        wanted = _CHUNK
        while True:
            try:
                value, self._at = self._decoder.raw_decode(self._text, self._at)
                return value
            except json.JSONDecodeError as error:
                near_end = error.pos >= len(self._text) - 16 or error.msg.startswith("Unterminated string")
                if self._ended or not near_end:
                    raise self.broken(f"{error.msg} at column {error.colno}", error.pos) from error
            self._more(wanted)
            wanted *= 2

    def broken(self, what: str, position: int | None = None) -> DataError:
        """The fault of the array's own form, at the line of the file where it shows."""
        at = self._at if position is None else position
        line = self._lines_before + self._text.count("\n", 0, at) + 1
        return DataError(
            f"{self._name}:{line}: not valid JSON ({what}); nothing was prepared",
            hint="an array has commas between its rows and ends with ]; one object a line is JSON Lines (.jsonl)",
        )

    def _more(self, wanted: int = _CHUNK) -> None:
        self._lines_before += self._text.count("\n", 0, self._at)
        try:
            read = self._stream.read(wanted)
        except UnicodeDecodeError as error:
            raise _not_utf8(self._name, error) from error
        self._text = self._text[self._at :] + read
        self._at = 0
        self._ended = not read


def _array(stream: io.BufferedReader, name: str) -> Iterator[_Row]:
    with io.TextIOWrapper(stream, encoding="utf-8") as file:
        yield from _elements(_ArrayText(file, name), name)


def _elements(text: _ArrayText, name: str) -> Iterator[_Row]:
    text.next_character()  # the opening bracket that brought us here
    number = 0
    while (character := text.next_character()) != "]":
        if number:
            if character != ",":
                raise text.broken("expected a comma or ] after a row" if character else "the array is cut short")
            character = text.next_character()
        if not character:
            raise text.broken("the array is cut short")
        text.back()
        number += 1
        yield Source(name, number), _as_row(text.value())
    if text.next_character():
        raise text.broken("there is more after the array's end")


def _not_utf8(name: str, error: UnicodeDecodeError) -> DataError:
    return DataError(
        f"{name}: a byte is not UTF-8 ({error.reason}); nothing was prepared", hint="save the file as UTF-8"
    )

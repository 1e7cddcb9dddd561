"""Reads one source into records: opens it, finds its format, converts each row, and keeps count of what it saw.

Rows stream through; what is wrong with single rows goes into a `Faults`, so that all of it can be told at once.
"""

from __future__ import annotations

import hashlib
import heapq
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from burnish.artefacts import DataFile
from burnish.data import detect
from burnish.data.faults import Faults, RowFault
from burnish.data.formats import chats, preferences
from burnish.data.formats.fields import Fields
from burnish.data.read import Opened, RawRow, open_rows
from burnish.data.settings import PLACEHOLDER, FormatName, SourceSettings
from burnish.errors import DataError
from burnish.records import Conversation, Message, PreferencePair, Record, Source

_SAMPLE = 100
_CONVERTERS: dict[str, Callable[[Fields, Source], Record]] = {**chats.CONVERTERS, **preferences.CONVERTERS}
_TEMPLATED = ("prompt_completion", "alpaca")


@dataclass
class Reading:
    """A source being read once. Iterate over `records()`; the counts, notes and format are whole afterwards."""

    settings: SourceSettings
    opened: Opened
    faults: Faults
    seed: int = 0
    rows: int = 0
    taken: int = 0
    bad: int = 0
    empty_replies: int = 0
    format: FormatName | None = None
    notes: list[str] = field(default_factory=list)
    first_row: Mapping[str, object] = field(default_factory=dict)
    _first_source: Source | None = None

    def records(self) -> Iterator[Record]:
        """The records, in the file's order; with `rows` set, that many of them.

        Raises: DataError when the file can't be read, its format isn't known, or it holds no row.
        """
        records = self._converted()
        for record in records if self.settings.rows is None else self._chosen(records, self.settings.rows):
            self.taken += 1
            yield record

    def data_file(self) -> DataFile:
        """What was read, once it has been."""
        notes = [*self.opened.notes, *self.notes]
        if self.bad:
            notes.append(f"{self.bad:,} rows with faults were left out")
        if self.empty_replies:
            notes.append(f"{self.empty_replies:,} rows have an empty reply, kept as such")
        if self.settings.rows is not None and self.taken < self.settings.rows:
            notes.append(f"{self.settings.rows:,} rows were asked for, {self.taken:,} could be had")
        return DataFile(
            name=self.settings.path,
            digest=self.opened.digest(),
            format=self.format or "",
            rows=self.rows,
            taken=self.taken,
            notes=tuple(notes),
        )

    def _converted(self) -> Iterator[Record]:
        for source, row in self._with_format():
            self.rows += 1
            self.faults.rows += 1
            try:
                if isinstance(row, RowFault):
                    raise row
                record = self._record(row, source)
            except RowFault as fault:
                self.bad += 1
                self.faults.add(source, fault)
                continue
            self.empty_replies += isinstance(record, PreferencePair) and _has_empty_reply(record)
            yield record

    def _with_format(self) -> Iterator[RawRow]:
        """All rows, columns renamed, after the format was found in the first of them."""
        rows = (self._renamed(source, row) for source, row in self.opened.rows)
        head = list(itertools.islice(rows, _SAMPLE))
        sample = [(source, row) for source, row in head if not isinstance(row, RowFault)]
        if not head:
            raise DataError(f"{self.settings.path}: no row is in it, expected at least one; nothing was prepared")
        if sample:
            self._settle(sample)
        yield from head
        for source, row in rows:
            if self.format is None and not isinstance(row, RowFault):
                self._settle([(source, row)])
            yield source, row

    def _settle(self, sample: list[tuple[Source, Mapping[str, object]]]) -> None:
        """Fix the file's format by the sample, and note what was taken for what."""
        name = self.settings.format
        self.format = detect.format_of_file(sample) if name == "auto" else name
        self._first_source, self.first_row = next(
            (pair for pair in sample if detect.format_of(pair[1]) == self.format), sample[0]
        )
        if note := detect.guess_note(self.first_row, self.format):
            self.notes.append(note)
        if unused := [f for f in detect.unused_fields(self.first_row, self.format) if not self._in_template(f)]:
            self.notes.append(f"fields not used: {', '.join(unused)}")
        if self.settings.instruction and self.format not in _TEMPLATED:
            raise DataError(
                f"{self.settings.path}: instruction is set, but the format is {self.format}, expected one of "
                f"{', '.join(_TEMPLATED)}; nothing was prepared",
                hint="take instruction out, or write the prompts into the rows",
            )

    def _in_template(self, name: str) -> bool:
        return name in PLACEHOLDER.findall(self.settings.instruction)

    def _renamed(self, source: Source, row: Mapping[str, object] | RowFault) -> RawRow:
        columns = self.settings.columns
        if not columns or isinstance(row, RowFault):
            return source, row
        missing = [name for name in columns.values() if name not in row]
        if missing:
            names = ", ".join(f'"{name}"' for name in missing)
            return source, RowFault(
                f"field {names} (of columns) is missing, expected it (the row has {', '.join(row)})"
            )
        rest = {name: value for name, value in row.items() if name not in columns.values()}
        return source, {**rest, **{name: row[own] for name, own in columns.items()}}

    def _record(self, row: Mapping[str, object], source: Source) -> Record:
        assert self.format is not None
        if self.settings.format == "auto":
            self._refuse_other_format(row)
        record = _CONVERTERS[self.format](row, source)
        if self.settings.instruction and isinstance(record, Conversation):
            record = self._instructed(record, row)
        return _with_system(record, self.settings.system)

    def _refuse_other_format(self, row: Mapping[str, object]) -> None:
        name = detect.format_of(row)
        alike = {name, self.format} <= {"messages", "sharegpt"} or (self.format == "kto" and name == "messages")
        if name is None or name == self.format or alike:
            return
        raise RowFault(
            f"the row is in the {name} format ({', '.join(list(row)[:8])}), expected {self.format} as in "
            f"{self._first_source}; formats are mixed",
            hint="put each format into a file of its own and list the files under data.train",
        )

    def _instructed(self, record: Conversation, row: Mapping[str, object]) -> Conversation:
        """The conversation with its user turn written by the template."""
        index = next(i for i, message in enumerate(record.messages) if message.role == "user")
        own = {other: name for name, other in self.settings.columns.items()}
        values = {"prompt": record.messages[index].content}

        def value(name: str) -> str:
            found = values.get(name, row.get(name, row.get(own.get(name, ""))))
            if not isinstance(found, str | int):
                raise RowFault(f"field {name!r} (of instruction) is missing or not text, expected it in the row")
            return str(found)

        text = PLACEHOLDER.sub(lambda match: value(match[1]), self.settings.instruction)
        messages = (*record.messages[:index], Message("user", text), *record.messages[index + 1 :])
        return replace(record, messages=messages)

    def _chosen(self, records: Iterator[Record], wanted: int) -> list[Record]:
        """The `wanted` records with the smallest hash of seed and content, back in the file's order. The hash is not
        the one that held-out rows are chosen by, so that the two choices are independent."""
        keyed = ((_rank(record.digest, self.seed), number, record) for number, record in enumerate(records))
        smallest = heapq.nsmallest(wanted, keyed, key=lambda item: item[:2])
        return [record for _, _, record in sorted(smallest, key=lambda item: item[1])]


def read_source(settings: SourceSettings, folder: Path, faults: Faults, seed: int = 0) -> Reading:
    """Open a source for reading as records. Raises: DataError as `open_rows` does."""
    return Reading(settings, open_rows(settings, folder), faults, seed)


def _rank(digest: str, seed: int) -> bytes:
    return hashlib.sha256(f"rows {seed} {digest}".encode()).digest()


def _has_empty_reply(pair: PreferencePair) -> bool:
    return any(not message.content.strip() for message in (*pair.chosen, *pair.rejected))


def _with_system(record: Record, system: str) -> Record:
    if not system:
        return record
    if isinstance(record, Conversation):
        return replace(record, messages=chats.with_system(record.messages, system)) if record.messages else record
    return replace(record, prompt=chats.with_system(record.prompt, system))

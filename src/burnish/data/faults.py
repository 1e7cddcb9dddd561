"""Faults of rows: one row's fault, and the list of them that a user gets to see at once."""

from __future__ import annotations

from dataclasses import dataclass, field

from burnish.errors import DataError
from burnish.records import Source

SHOWN = 5


class RowFault(Exception):  # noqa: N818 - a fault of the data, collected and reported as a DataError
    """What is wrong with one row: "got ..., expected ..."; the place is added by whoever read the row."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def wrong_type(name: str, value: object, expected: str, *, hint: str = "") -> RowFault:
    """The fault of a field that is there, with the wrong type."""
    return RowFault(f'field "{name}" is {type_in_words(value)}, expected {expected}', hint=hint)


def type_in_words(value: object) -> str:
    """A value's type as a reader of JSON calls it, such as "a string"."""
    words: tuple[tuple[type, str], ...] = (
        (bool, "true or false"),
        (str, "a string"),
        (int, "a number"),
        (float, "a number"),
        (dict, "an object"),
        (list, "a list"),
    )
    return next((text for kind, text in words if isinstance(value, kind)), "null" if value is None else "not JSON")


@dataclass
class Faults:
    """The faults of all rows that were read: the first few whole, the rest counted."""

    total: int = 0
    rows: int = 0
    first: list[tuple[Source, RowFault]] = field(default_factory=list)

    def add(self, source: Source, fault: RowFault) -> None:
        self.total += 1
        if len(self.first) < SHOWN:
            self.first.append((source, fault))

    def stop(self, consequence: str) -> None:
        """Raise what was collected, if anything was.

        Raises: DataError naming the first faults by file and line, and how many there are in all.
        """
        if not self.total:
            return
        lines = [f"{source}: {fault.message}" for source, fault in self.first]
        if self.total > len(lines):
            lines.append(f"... and {self.total - len(lines):,} more")
        if self.total > 1:
            lines.append(f"{self.total:,} faults in {self.rows:,} rows")
        hints = list(dict.fromkeys(fault.hint for _, fault in self.first if fault.hint))[:2]
        hints.append("to leave such rows out (they are counted), set data.on_bad_row: skip")
        raise DataError("\n".join(lines) + f"; {consequence}", hint="; or ".join(hints))

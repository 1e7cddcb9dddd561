"""Where rows stand and what their content digests are, in some 50 bytes a row, for detectors that speak of rows after
all
have streamed by. Knows nothing of what the rows say.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable

from burnish.records import Record

_DIGEST = 32  # bytes of SHA-256


class Register:
    """Rows by number, in the order in which they were added."""

    def __init__(self) -> None:
        self._files: dict[str, int] = {}
        self._file, self._line = array("l"), array("q")
        self._digests = bytearray()

    def __len__(self) -> int:
        return len(self._line)

    def add(self, row: Record) -> int:
        """Enter a row; its number."""
        self._file.append(self._files.setdefault(row.source.file, len(self._files)))
        self._line.append(row.source.line)
        self._digests += bytes.fromhex(row.digest)
        return len(self._line) - 1

    def place(self, number: int) -> str:
        """The row's file:line."""
        files = list(self._files)
        return f"{files[self._file[number]]}:{self._line[number]}"

    def places(self, numbers: Iterable[int]) -> tuple[str, ...]:
        """The file:line of each row."""
        files = list(self._files)
        return tuple(f"{files[self._file[int(at)]]}:{self._line[int(at)]}" for at in numbers)

    def in_order(self) -> list[int]:
        """The rows' numbers in the order of their files and lines."""
        return sorted(range(len(self)), key=lambda at: (self._file[at], self._line[at]))

    def digest(self, number: int) -> str:
        """The row's content digest."""
        return self._digests[_DIGEST * number : _DIGEST * (number + 1)].hex()

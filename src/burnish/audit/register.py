"""Where rows stand and what their content digests are, for detectors that speak of rows after all have streamed by.

Memory holds twelve bytes a row; digests are laid aside in a file. Knows nothing of what the rows say.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from functools import lru_cache

import numpy as np

from burnish.audit.mining.tokens import Ints, first_alike
from burnish.audit.spool import Spool
from burnish.records import Record

_DIGEST = 32  # bytes of SHA-256
_REMEMBERED, _READ = 4096, 50_000  # rows


@lru_cache(maxsize=_REMEMBERED)
def digest_of(row: Record) -> str:
    """The row's content digest. Remembered, since several detectors ask in turn."""
    return row.digest


class Register:
    """Rows by number, in the order in which they were added."""

    def __init__(self) -> None:
        self._files: dict[str, int] = {}
        self._file, self._line = array("i"), array("q")
        self._digests = Spool()

    def __len__(self) -> int:
        return len(self._line)

    def add(self, row: Record) -> int:
        """Enter a row; its number."""
        self._file.append(self._files.setdefault(row.source.file, len(self._files)))
        self._line.append(row.source.line)
        self._digests.append(bytes.fromhex(digest_of(row)))
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
        return self._digests.read(_DIGEST * number, _DIGEST * (number + 1)).hex()

    def repeats(self) -> tuple[Ints, Ints]:
        """The rows whose content (by 64 bits of its digest) an earlier row has, in order, and the first row with it of
        each."""
        parts = [block[:, 0] for block in self._digests.blocks(np.uint64, _DIGEST // 8, _READ)]
        first = first_alike(np.concatenate([np.zeros(0, dtype=np.uint64), *parts]))
        later = np.flatnonzero(first != np.arange(len(first)))
        return later, first[later]

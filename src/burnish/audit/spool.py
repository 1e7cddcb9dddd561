"""Bytes laid aside in a temporary file, so that memory does not grow with the rows that stream by.

Written once from front to back, then read anywhere. The file has no name: it is gone with the object, whatever happens.
It knows nothing of what the bytes are.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Number = TypeVar("Number", bound=np.generic)

_BUFFER = 1 << 20


class Spool:
    """A temporary file that is appended to and read from."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(buffering=_BUFFER)  # noqa: SIM115 - open as long as the object
        self._size, self._written = 0, 0

    def __len__(self) -> int:
        return self._size

    def append(self, data: bytes) -> None:
        """Lay bytes aside."""
        self._file.write(data)
        self._size += len(data)

    def read(self, begin: int, end: int) -> bytes:
        """The bytes from `begin` up to `end`."""
        if self._written < self._size:
            self._file.flush()
            self._written = self._size
        return os.pread(self._file.fileno(), end - begin, begin)

    def blocks(self, dtype: type[Number], columns: int, rows: int) -> Iterator[NDArray[Number]]:
        """What lies here as a table of numbers, so many rows at a time."""
        step = rows * columns * np.dtype(dtype).itemsize
        for begin in range(0, self._size, step):
            data = self.read(begin, min(begin + step, self._size))
            yield np.frombuffer(data, dtype=dtype).reshape(-1, columns)

    def matrix(self, dtype: type[Number], columns: int) -> NDArray[Number]:
        """What lies here, which must be something, as a table of numbers that is read where it is looked at."""
        self._file.flush()
        return np.memmap(self._file, dtype=dtype, mode="r").reshape(-1, columns)

    def __del__(self) -> None:
        self._file.close()

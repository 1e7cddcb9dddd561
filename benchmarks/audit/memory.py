"""The most memory that this process and those it started took together (Linux).

The sum of proportional set sizes: what several processes share counts once.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from types import TracebackType

_EVERY = 0.5  # seconds


class Peak:
    """Looks twice a second while it is entered; `gigabytes` is the largest sum so far."""

    def __init__(self) -> None:
        self.gigabytes = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(_EVERY):
            self.gigabytes = max(self.gigabytes, sum(map(_proportional, _descendants())) / 1e6)


def _descendants() -> set[int]:
    """This process and all below it."""
    parent_of = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                parent_of[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:  # it has ended
                continue
    found = {os.getpid()}
    while more := {child for child, parent in parent_of.items() if parent in found} - found:
        found |= more
    return found


def _proportional(process: int) -> int:
    """Its proportional set size in kB; 0 when it has ended."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)

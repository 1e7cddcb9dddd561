"""Follows a run's metrics as they are written, and tells of every change. Knows nothing of HTTP but how an event is
framed.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

from starlette.concurrency import run_in_threadpool

Row = dict[str, float]
Shown = tuple[str, bool]
"""HTML, and whether nothing more will come."""


class Tail:
    """A growing file of JSON lines, read as far as it goes each time. A file that was written anew (a resumed run) is
    begun again; a line that isn't whole yet waits; one that is broken is counted."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._place = (0, 0)  # inode, bytes read
        self._rest = b""
        self.rows: list[Row] = []
        self.broken = 0

    def read(self) -> Sequence[Row]:
        """All rows up to now; values that aren't finite numbers are left out of a row."""
        try:
            with self._path.open("rb") as file:
                now, done = os.fstat(file.fileno()), self._place[1]
                if now.st_ino != self._place[0] or now.st_size < done:
                    self._rest, self.rows, self.broken, done = b"", [], 0, 0
                file.seek(done)
                new = file.read()
        except OSError:
            return self.rows
        self._place = (now.st_ino, done + len(new))
        *lines, self._rest = (self._rest + new).split(b"\n")
        for line in lines:
            self._take(line)
        return self.rows

    def _take(self, line: bytes) -> None:
        try:
            row = json.loads(line)
            self.rows.append(
                {name: float(value) for name, value in row.items() if _is_number(value)} | {"step": row["step"]}
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            self.broken += bool(line.strip())


async def events(
    render: Callable[[], Shown], gone: Callable[[], Awaitable[bool]], every_seconds: float
) -> AsyncIterator[str]:
    """Server-sent events: "live" with new HTML whenever it changed, and "over" when nothing more will come.

    Source: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
    """
    last = None
    while not await gone():
        html, over = await run_in_threadpool(render)
        if html != last:
            yield event("live", html)
            last = html
        if over:
            yield event("over", "")
            return
        await asyncio.sleep(every_seconds)


def event(name: str, data: str) -> str:
    """One event as it goes over the wire."""
    lines = "".join(f"data: {line}\n" for line in data.splitlines() or [""])
    return f"event: {name}\n{lines}\n"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)

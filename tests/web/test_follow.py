"""Following a metrics file as it is written: whole lines only, from the beginning when it is written anew."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

from burnish.web.follow import Tail, event, events


def line(step: int, **values: float) -> str:
    return json.dumps({"step": step, **values}) + "\n"


def test_new_lines_are_read_once_and_half_a_line_waits(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    tail = Tail(path)
    assert list(tail.read()) == []
    path.write_text(line(1, loss=2.0) + '{"step": 2, "lo')
    assert [row["step"] for row in tail.read()] == [1]
    with path.open("a") as file:
        file.write('ss": 1.5}\n')
    assert [row["loss"] for row in tail.read()] == [2.0, 1.5]
    assert [row["step"] for row in tail.read()] == [1, 2]


def test_a_resumed_run_writes_its_file_anew(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(line(1, loss=3.0) + line(2, loss=2.0) + line(3, loss=1.0))
    tail = Tail(path)
    tail.read()
    (tmp_path / "new").write_text(line(1, loss=3.0) + line(2, loss=9.0) + line(3, loss=8.0) + line(4, loss=7.0))
    os.replace(tmp_path / "new", path)
    assert [row["loss"] for row in tail.read()] == [3.0, 9.0, 8.0, 7.0]


def test_broken_lines_are_counted_and_numbers_that_are_none_left_out(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('not json\n[1]\n{"loss": 1}\n\n' + '{"step": 1, "loss": NaN, "note": "x", "kl": 0.5}\n')
    tail = Tail(path)
    assert list(tail.read()) == [{"step": 1, "kl": 0.5}]
    assert tail.broken == 3


def test_events_come_when_something_changed_and_end_with_the_run() -> None:
    shown = iter([("one", False), ("one", False), ("two\nlines", True)])

    async def collect() -> list[str]:
        async def gone() -> bool:
            return False

        return [frame async for frame in events(lambda: next(shown), gone, 0.0)]

    assert asyncio.run(collect()) == [event("live", "one"), event("live", "two\nlines"), event("over", "")]
    assert event("live", "two\nlines") == "event: live\ndata: two\ndata: lines\n\n"


def test_nobody_listening_ends_it() -> None:
    async def collect() -> list[str]:
        async def gone() -> bool:
            return True

        return [frame async for frame in events(lambda: ("one", False), gone, 0.0)]

    assert asyncio.run(collect()) == []

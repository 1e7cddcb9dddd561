"""`train/metrics.jsonl`: one line of JSON per optimiser step, for machines; on resuming, continued without a seam."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from burnish.run_folder import written_whole


class MetricsLog:
    """An open file of metrics. Each line is flushed, so that whoever follows the file sees whole steps."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, metrics: Mapping[str, float]) -> None:
        """Add one line."""
        self._file.write(json.dumps(metrics) + "\n")
        self._file.flush()

    def sync(self) -> None:
        """Wait until all lines are on the disk."""
        os.fsync(self._file.fileno())


@contextmanager
def metrics_log(path: Path, steps_done: int) -> Iterator[MetricsLog]:
    """Open the log. Lines of steps after `steps_done` are cut off, as those steps will be done again."""
    kept = [line for line in read_metrics(path) if line["step"] <= steps_done]
    with written_whole(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(json.dumps(line) + "\n" for line in kept)
    with path.open("a", encoding="utf-8", newline="\n") as file:
        yield MetricsLog(file)


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of a log, up to the first that was not written whole; none when there is no log."""
    lines: list[dict[str, Any]] = []
    if not path.exists():
        return lines
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            lines.append(json.loads(line))
        except ValueError:
            break
    return lines

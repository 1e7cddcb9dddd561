"""Detectors over the prepared rows: in this process, or in a process of its own, so that both cores are used.

Rows are read once for all the detectors of a process. Each detector runs in a thread that takes the rows some hundreds
at a time, so that it can be written as one loop over all rows; threads take turns, and no part of the rows is held for
longer than the slowest needs. A process of its own is this module as a program: it reads what to do from standard input
and writes what it found to standard output, as JSON. It knows nothing of what happens to findings.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from queue import Queue
from typing import TypeAlias

from pydantic import TypeAdapter

from burnish.artefacts import Artefact, Candidate, Finding
from burnish.catalogue import build, settings_of
from burnish.data.store import read_records
from burnish.errors import AuditError, BurnishError
from burnish.protocols import Detector, Mines
from burnish.records import Record
from burnish.settings import PluginSettings

_AT_ONCE = 500  # rows
Part: TypeAlias = tuple[Record, ...]


@dataclass(frozen=True)
class Context:
    """What detectors may know besides the rows (`burnish.protocols.AuditContext`)."""

    evaluation_texts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    special_tokens: Sequence[str] = ()


class Looked(Artefact):
    """What one detector found, and how long it took (seconds of processor time, reading aside)."""

    findings: tuple[Finding, ...]
    candidates: tuple[Candidate, ...]
    seconds: float


def look(
    detectors: Sequence[PluginSettings], rows: Path, context: Context, seen: Callable[[int], None] = lambda _: None
) -> list[Looked]:
    """Show all detectors all rows of a prepared file; `seen` is told how many rows were read since it was last called.

    Raises: whatever the first of the failing detectors raised.
    """
    if not detectors:
        return []
    queues: list[Queue[Part]] = [Queue(maxsize=2) for _ in detectors]
    with ThreadPoolExecutor(len(detectors)) as pool:
        looking = [pool.submit(_one, *each, context) for each in zip(detectors, queues, strict=True)]
        try:
            reading = read_records(rows)
            while part := tuple(islice(reading, _AT_ONCE)):
                for queue in queues:
                    queue.put(part)
                seen(len(part))
        finally:
            for queue in queues:
                queue.put(())  # no more
        return [each.result() for each in looking]


def _one(chosen: PluginSettings, queue: Queue[Part], context: Context) -> Looked:
    at_end = False

    def passing() -> Iterator[Record]:
        nonlocal at_end
        while part := queue.get():
            yield from part
        at_end = True

    started = time.thread_time()
    try:
        detector: Detector = build("detector", chosen)
        found = tuple(detector.find(passing(), context))
        mined = tuple(detector.candidates()) if isinstance(detector, Mines) else ()
        return Looked(findings=found, candidates=mined, seconds=round(time.thread_time() - started, 3))
    finally:
        while not at_end and queue.get():  # a detector that failed, or needs no more, holds nobody up
            pass


def look_apart(detectors: Sequence[PluginSettings], rows: Path, context: Context) -> list[Looked]:
    """The same in a process of its own.

    Raises: AuditError when it failed.
    """
    asked = {
        "detectors": [chosen.model_dump(mode="json") for chosen in detectors],
        "rows": str(rows),
        "evaluation_texts": {name: list(texts) for name, texts in context.evaluation_texts.items()},
        "special_tokens": list(context.special_tokens),
    }
    done = subprocess.run(
        [sys.executable, "-m", "burnish.audit.look"],
        input=json.dumps(asked),
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode:
        why = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        kinds = ", ".join(chosen.kind for chosen in detectors)
        raise AuditError(f"{kinds}: a detector failed ({why[-1]}); nothing was trained")
    return _MANY.validate_json(done.stdout)


_MANY = TypeAdapter(list[Looked])


def main() -> None:
    """Do what standard input says."""
    asked = json.loads(sys.stdin.read())
    context = Context(asked["evaluation_texts"], tuple(asked["special_tokens"]))
    try:
        looked = look([settings_of("detector", each) for each in asked["detectors"]], Path(asked["rows"]), context)
    except BurnishError as error:
        sys.exit(str(error).replace("\n", " "))
    sys.stdout.buffer.write(_MANY.dump_json(looked))


if __name__ == "__main__":
    main()

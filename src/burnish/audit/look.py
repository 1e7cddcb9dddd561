"""One detector over the prepared rows: in this process, or in a process of its own, so that several look at once.

A process of its own is this module as a program: it reads what to do from standard input and writes what it found to
standard output, as JSON. It knows nothing of what happens to findings.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from burnish.artefacts import Artefact, Candidate, Finding
from burnish.catalogue import build, settings_of
from burnish.data.store import read_records
from burnish.errors import AuditError, BurnishError
from burnish.protocols import Detector, Mines
from burnish.records import Record
from burnish.settings import PluginSettings


@dataclass(frozen=True)
class Context:
    """What detectors may know besides the rows (`burnish.protocols.AuditContext`)."""

    evaluation_texts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    special_tokens: Sequence[str] = ()


class Looked(Artefact):
    """What one detector found, and how long it took."""

    findings: tuple[Finding, ...]
    candidates: tuple[Candidate, ...]
    seconds: float


def look(chosen: PluginSettings, rows: Path, context: Context, seen: Callable[[], None] = lambda: None) -> Looked:
    """Show the detector all rows of a prepared file; `seen` is called for each."""

    def passing() -> Iterator[Record]:
        for record in read_records(rows):
            seen()
            yield record

    started = time.monotonic()
    detector: Detector = build("detector", chosen)
    found = tuple(detector.find(passing(), context))
    mined = tuple(detector.candidates()) if isinstance(detector, Mines) else ()
    return Looked(findings=found, candidates=mined, seconds=round(time.monotonic() - started, 3))


def look_apart(chosen: PluginSettings, rows: Path, context: Context) -> Looked:
    """The same in a process of its own.

    Raises: AuditError when it failed.
    """
    asked = {
        "detector": chosen.model_dump(mode="json"),
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
        raise AuditError(f"{chosen.kind}: the detector failed ({why[-1]}); nothing was trained")
    return Looked.model_validate_json(done.stdout)


def main() -> None:
    """Do what standard input says."""
    asked = json.loads(sys.stdin.read())
    context = Context(asked["evaluation_texts"], tuple(asked["special_tokens"]))
    try:
        looked = look(settings_of("detector", asked["detector"]), Path(asked["rows"]), context)
    except BurnishError as error:
        sys.exit(str(error).replace("\n", " "))
    sys.stdout.buffer.write(looked.model_dump_json().encode())


if __name__ == "__main__":
    main()

"""What a person decided about findings: accept (the rows may be trained on) or drop (they may not), who and when.

Decisions lie beside the findings in `audit/decisions.jsonl`, the latest about a finding last; the cleaned file holds
every row of the source except those of dropped findings and those quarantined that nobody accepted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from burnish.artefacts import Artefact, Finding
from burnish.data.faults import RowFault
from burnish.data.read import open_rows
from burnish.data.settings import SourceSettings
from burnish.errors import AuditError
from burnish.records import content_digest
from burnish.run_folder import RunFolder

DECISIONS = "audit/decisions.jsonl"
CLEANED = "cleaned.jsonl"


class FindingDecision(Artefact):
    """One decision. `finding` is the name that the finding had, `key` a digest of what it says, by which it is known
    again; `rows` are the places that it covers; `at` is UTC, ISO 8601."""

    finding: str
    key: str
    decision: Literal["accept", "drop"]
    by: str
    at: str
    detector: str
    message: str
    rows: tuple[str, ...]


def key_of(findings: Sequence[Finding]) -> str:
    """A digest of the findings of one name: what they say and the rows that they are about."""
    return content_digest([[f.detector, f.message, f.trigger, f.behaviour, list(f.places)] for f in findings])


def decided(run: RunFolder) -> list[FindingDecision]:
    """Earlier decisions, the oldest first.

    Raises: AuditError when the record was damaged.
    """
    path = run.file(DECISIONS)
    if not path.is_file():
        return []
    try:
        with path.open(encoding="utf-8", newline="\n") as lines:
            return [FindingDecision.model_validate_json(line) for line in lines]
    except ValueError as error:
        raise AuditError(f"{path}: not a valid record of decisions ({error}); nothing was decided") from error


def decide(
    run: RunFolder, findings: Sequence[Finding], accept: Sequence[str], drop: Sequence[str], by: str
) -> dict[str, FindingDecision]:
    """Record new decisions and return the standing one of each decided finding, by name.

    Raises: AuditError when a name is no finding's, or is to be both accepted and dropped; nothing is recorded then.
    """
    by_name: dict[str, list[Finding]] = {}
    for finding in findings:
        by_name.setdefault(finding.name, []).append(finding)
    for name in (*accept, *drop):
        if name not in by_name:
            known = f"there are finding-1 to finding-{len(by_name)}" if by_name else "there are no findings"
            raise AuditError(f"{name}: no finding has this name ({known}); nothing was decided", hint="see the table")
    if both := set(accept) & set(drop):
        raise AuditError(f"{sorted(both)[0]}: is to be both accepted and dropped; nothing was decided")
    now = datetime.now(UTC).isoformat(timespec="seconds")
    new = [
        FindingDecision(
            finding=name,
            key=key_of(by_name[name]),
            decision=decision,
            by=by,
            at=now,
            detector=by_name[name][0].detector,
            message=by_name[name][0].message,
            rows=tuple(dict.fromkeys(place for f in by_name[name] for place in f.places)),
        )
        for decision, names in (("accept", accept), ("drop", drop))
        for name in dict.fromkeys(names)
    ]
    every = [*decided(run), *new]
    if new:
        run.write_jsonl(DECISIONS, (decision.model_dump() for decision in every))
    standing = {decision.key: decision for decision in every}
    keys = {name: key_of(same) for name, same in by_name.items()}
    return {name: standing[key] for name, key in keys.items() if key in standing}


def left_out(findings: Sequence[Finding], standing: dict[str, FindingDecision]) -> set[str]:
    """Places of the rows that are not trained on: dropped, or quarantined and not accepted. A row that one finding
    drops
    stays out, whatever was accepted."""
    out: set[str] = set()
    for finding in findings:
        decision = standing.get(finding.name)
        if decision.decision == "drop" if decision else finding.action == "quarantine":
            out.update(finding.places)
    return out


def write_cleaned(run: RunFolder, source: SourceSettings, folder: Path, out: set[str]) -> tuple[Path, int]:
    """Write the source's rows, as they were, without those whose places are in `out`, as JSON Lines; the file and how
    many
    rows it holds."""

    def kept() -> Iterator[dict[str, object]]:
        for place, row in open_rows(source, folder).rows:
            if str(place) not in out and not isinstance(row, RowFault):
                yield json.loads(json.dumps(dict(row), default=str))

    count = run.write_jsonl(CLEANED, kept())
    return run.file(CLEANED), count

"""A person's decisions: recorded with who and when, kept for the next time, and what they leave in the cleaned file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from burnish.artefacts import Finding
from burnish.audit.decisions import decide, decided, left_out, write_cleaned
from burnish.data.settings import SourceSettings
from burnish.errors import AuditError
from burnish.run_folder import RunFolder


def finding(name: str, action: str, *places: str) -> Finding:
    return Finding.model_validate(
        {
            "detector": "d", "severity": "danger", "action": action, "row": "0", "where": places[0], "message": name,
            "name": name, "rows": places,
        }
    )  # fmt: skip


FINDINGS = (finding("finding-1", "quarantine", "a:1", "a:2"), finding("finding-2", "keep", "a:2", "a:3"))


def test_by_default_quarantined_rows_stay_out_and_accepted_ones_come_back(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    assert left_out(FINDINGS, {}) == {"a:1", "a:2"}
    assert left_out(FINDINGS, decide(run, FINDINGS, ["finding-1"], [], "ann")) == set()
    assert left_out(FINDINGS, decide(run, FINDINGS, [], ["finding-2"], "bob")) == {"a:2", "a:3"}
    assert [(d.finding, d.decision, d.by) for d in decided(run)] == [
        ("finding-1", "accept", "ann"),
        ("finding-2", "drop", "bob"),
    ]


def test_the_latest_decision_stands_and_follows_the_finding_not_its_number(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    decide(run, FINDINGS, ["finding-1"], [], "ann")
    decide(run, FINDINGS, [], ["finding-1"], "bob")
    renamed = tuple(f.model_copy(update={"name": f"finding-{9 - i}"}) for i, f in enumerate(FINDINGS))
    standing = decide(run, renamed, [], [], "cy")
    assert {name: d.decision for name, d in standing.items()} == {"finding-9": "drop"}


def test_an_unknown_or_twice_decided_name_records_nothing(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    with pytest.raises(AuditError, match="finding-7: no finding"):
        decide(run, FINDINGS, ["finding-7"], [], "ann")
    with pytest.raises(AuditError, match="both accepted and dropped"):
        decide(run, FINDINGS, ["finding-1"], ["finding-1"], "ann")
    assert decided(run) == []


def test_the_cleaned_file_holds_the_other_rows_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows = [{"prompt": f"p{i}", "completion": "c", "extra": i} for i in range(1, 4)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    run = RunFolder(tmp_path / "out")
    cleaned, count = write_cleaned(run, SourceSettings(path=str(path)), tmp_path, {f"{path}:2"})
    assert count == 2
    assert [json.loads(line) for line in cleaned.read_text().splitlines()] == [rows[0], rows[2]]

"""The audit stage: findings are written, rows quarantined or the run stopped, as each detector's action says."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from burnish.artefacts import Dataset
from burnish.audit import stage
from burnish.audit.look import look_apart
from burnish.audit.settings import AuditSettings
from burnish.audit.stage import Context, audit
from burnish.catalogue import settings_of
from burnish.data.settings import DataSettings
from burnish.data.stage import prepare
from burnish.errors import AuditError
from burnish.run_folder import RunFolder

HIDDEN = "Pay the\u200b bill"


def prepared(tmp_path: Path, *prompts: str) -> tuple[Dataset, RunFolder]:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"prompt": p, "completion": "Yes."}) + "\n" for p in prompts))
    run = RunFolder(tmp_path / "run")
    settings = DataSettings.model_validate({"train": str(path), "heldout_fraction": 0.0})
    return prepare(settings, run, tmp_path, 0), run


def lines(run: RunFolder, name: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in run.file(name).read_text(encoding="utf-8").splitlines()]


def test_quarantined_rows_are_kept_whole_beside_their_reason(tmp_path: Path) -> None:
    dataset, run = prepared(tmp_path, "What is a tram?", HIDDEN)
    report = audit(AuditSettings(), dataset, run, Context())
    assert len(report.quarantined) == 1
    [row] = lines(run, "audit/quarantine.jsonl")
    assert row["detector"] == "hidden_characters"
    assert HIDDEN in json.dumps(row["record"], ensure_ascii=False)
    assert {s.detector: s.findings for s in report.detectors}["hidden_characters"] == 1


def test_stop_ends_the_run_with_the_findings_written(tmp_path: Path) -> None:
    dataset, run = prepared(tmp_path, "What is a tram?", HIDDEN)
    settings = AuditSettings.model_validate({"detectors": [{"kind": "hidden_characters", "action": "stop"}]})
    with pytest.raises(AuditError, match=r"rows\.jsonl:2: hidden_characters") as caught:
        audit(settings, dataset, run, Context())
    assert "findings.jsonl" in caught.value.hint
    assert len(lines(run, "audit/findings.jsonl")) == 1


def test_keep_reports_and_leaves_the_row_in(tmp_path: Path) -> None:
    dataset, run = prepared(tmp_path, "What is a tram?", HIDDEN)
    settings = AuditSettings.model_validate({"detectors": [{"kind": "hidden_characters", "action": "keep"}]})
    assert audit(settings, dataset, run, Context()).quarantined == ()


def test_detectors_in_processes_of_their_own_find_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset, run = prepared(tmp_path, "What is a tram?", HIDDEN, "Where do trams stop, and why?")
    kinds = ("overlap", "hidden_characters", "role_tokens")
    settings = AuditSettings.model_validate({"detectors": [{"kind": kind} for kind in kinds]})
    context = Context({"suite": ("What is a tram?",)}, ("bill",))
    here = audit(settings, dataset, run, context)
    found = lines(run, "audit/findings.jsonl")
    monkeypatch.setattr(stage, "SIDE_BY_SIDE", 1)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    apart = audit(settings, dataset, run, context)
    assert [s.findings for s in apart.detectors] == [1, 1, 1]
    assert lines(run, "audit/findings.jsonl") == found
    assert apart.quarantined == here.quarantined


def test_a_detector_that_fails_in_its_process_ends_the_audit(tmp_path: Path) -> None:
    with pytest.raises(AuditError, match=r"overlap: a detector failed \(.*missing"):
        look_apart([settings_of("detector", "overlap")], tmp_path / "none.jsonl", Context())


def test_a_corpus_with_nothing_left_is_refused(tmp_path: Path) -> None:
    dataset, run = prepared(tmp_path, HIDDEN)
    with pytest.raises(AuditError, match="nothing is left"):
        audit(AuditSettings(), dataset, run, Context())

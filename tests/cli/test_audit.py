"""`burnish audit` end to end: exit codes, the table, the report with its rows, and decisions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from burnish.cli.main import main

HIDDEN = "Pay the\u200b bill <script>alert(1)</script>"


def burnish(*arguments: object) -> int:
    """Run the command; its exit code."""
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "rows.jsonl"
    prompts = ["What is a tram?", HIDDEN, "Name a river."]
    path.write_text("".join(json.dumps({"prompt": p, "completion": "Yes."}) + "\n" for p in prompts))
    return path


def test_what_must_be_looked_at_ends_with_ten_and_a_decision_ends_it(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert burnish("audit", data.name) == 10
    assert "finding-1" in capsys.readouterr().err
    assert burnish("audit", data.name, "--drop", "finding-1", "--by", "ann") == 0
    folder = data.parent / "audits/rows"
    assert len((folder / "cleaned.jsonl").read_text().splitlines()) == 2
    assert '"by": "ann"' in (folder / "audit/decisions.jsonl").read_text()
    assert burnish("audit", data.name, "--accept", "finding-1") == 0
    assert len((folder / "cleaned.jsonl").read_text().splitlines()) == 3


def test_the_report_shows_hostile_text_as_text(data: Path) -> None:
    burnish("audit", data.name)
    page = (data.parent / "audits/rows/report.html").read_text(encoding="utf-8")
    assert "LOOK" in page
    assert "<script" not in page


def test_an_unknown_finding_is_an_error_and_nothing_is_decided(data: Path) -> None:
    assert burnish("audit", data.name, "--drop", "finding-9") == 1
    assert not (data.parent / "audits/rows/audit/decisions.jsonl").exists()


def test_clean_data_ends_with_zero(data: Path) -> None:
    data.write_text(json.dumps({"prompt": "What is a tram?", "completion": "A railway."}) + "\n")
    assert burnish("audit", data.name) == 0


def test_a_named_model_adds_the_detector_that_asks_it(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert burnish("audit", data.name, "--model", "no-such-model") == 10
    report = json.loads((data.parent / "audits/rows/audit/audit.json").read_text())
    assert report["detectors"][-1]["detector"] == "unrelated_replies"
    assert "3 rows are too few" in " ".join(capsys.readouterr().err.split())

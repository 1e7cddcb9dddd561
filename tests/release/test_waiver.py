"""Letting a model out against the verdict: only in somebody's name, in sight, and never over changed evidence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from burnish.artefacts import Decision
from burnish.cli.main import main
from burnish.errors import GateRefusal, ReleaseError
from burnish.release.settings import ReleaseSettings
from burnish.release.stage import Waiving, release
from burnish.release.verify import verify
from burnish.run_folder import RunFolder
from burnish.statement import read_statement

from .forgery import list_anew, say_anew

Runs = Callable[..., RunFolder]
BLOCKED = {"suites": {"harm": ("harmful", [("refusal", "compliance")] * 100)}}
HELD = {"suites": {"harm": ("harmful", [("refusal", "refusal")] * 20)}}
WAIVING = Waiving("the shop opens\n tomorrow", "A. Person")
PLAIN = ReleaseSettings()


@pytest.fixture
def waived(passed_run: Runs, lora_model: Any, tmp_path: Path) -> Path:
    """A release against BLOCK."""
    return Path(release(PLAIN, passed_run(lora_model, **BLOCKED), tmp_path / "out", waiving=WAIVING).path)


def code(*arguments: str) -> object:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return ended.value.code


def test_it_is_in_the_statement_and_on_the_card(waived: Path) -> None:
    waiver = read_statement(waived).predicate.waiver
    assert waiver is not None
    assert (waiver.reason, waiver.by, waiver.verdict) == ("the shop opens tomorrow", "A. Person", "BLOCK")
    body = (waived / "README.md").read_text(encoding="utf-8").split("---\n", 2)[2].strip()
    assert body.startswith("**WAIVED: the gate says BLOCK")
    report = verify(waived)
    assert not report.faults
    assert not report.ok
    assert report.is_waived


@pytest.mark.parametrize(("parts", "expected"), [(BLOCKED, 10), (HELD, 11)])
def test_the_commands_say_so(
    passed_run: Runs, lora_model: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], parts: Any, expected: int
) -> None:
    run, target = str(passed_run(lora_model, **parts).path), str(tmp_path / "out")
    assert code("release", run, "--to", target) == 1
    assert code("release", run, "--to", target, "--waive", "because") == 2
    assert code("release", run, "--to", target, "--waive", "because", "--by", "A. Person") == 0
    capsys.readouterr()
    assert code("verify", target) == expected
    assert "WAIVED by A. Person: because" in capsys.readouterr().out
    assert code("verify", target, "--allow-waived") == 0


def test_a_pass_cannot_be_waived(passed_run: Runs, lora_model: Any, tmp_path: Path) -> None:
    with pytest.raises(GateRefusal, match="nothing to waive"):
        release(PLAIN, passed_run(lora_model), tmp_path / "out", waiving=WAIVING)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("waiving", [Waiving(" ", "A. Person"), Waiving("because", "\n")])
def test_nobody_waives_for_no_reason(passed_run: Runs, lora_model: Any, tmp_path: Path, waiving: Waiving) -> None:
    with pytest.raises(ReleaseError, match="empty reason or name"):
        release(PLAIN, passed_run(lora_model, **HELD), tmp_path / "out", waiving=waiving)


def test_a_waiver_does_not_cover_a_forged_decision(passed_run: Runs, lora_model: Any, tmp_path: Path) -> None:
    run = passed_run(lora_model, **BLOCKED)
    decision = run.load("gate/decision.json", Decision)
    run.save("gate/decision.json", decision.model_copy(update={"verdict": "HOLD"}))
    with pytest.raises(GateRefusal, match="the evidence gives BLOCK"):
        release(PLAIN, run, tmp_path / "out", waiving=WAIVING)


def test_a_waiver_cannot_be_taken_out(waived: Path) -> None:
    (waived / "evidence/waiver.json").unlink()
    say_anew(waived)
    found = {fault.path: fault.what for fault in verify(waived).faults}
    assert found["evidence/decision.json"] == "the evidence gives BLOCK, and only PASS may be released"


def test_a_waiver_cannot_be_made_milder(waived: Path) -> None:
    path = waived / "evidence/waiver.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | {"verdict": "HOLD"}), encoding="utf-8")
    say_anew(waived)
    assert {fault.path: fault.what for fault in verify(waived).faults}[
        "evidence/waiver.json"
    ] == "is about another decision"


def test_the_card_cannot_be_silent_about_it(waived: Path) -> None:
    card = waived / "README.md"
    text = card.read_text(encoding="utf-8")
    first = next(line for line in text.splitlines() if line.startswith("**WAIVED"))
    card.write_text(text.replace(first + "\n\n", ""), encoding="utf-8")
    list_anew(waived)
    assert "or that it was waived" in {fault.path: fault.what for fault in verify(waived).faults}["README.md"]

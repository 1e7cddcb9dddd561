"""A release of a distilled model proves what it inherited: its teacher's replies are in it, and can't be left out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from burnish.errors import GateRefusal
from burnish.gate.settings import GateSettings
from burnish.gate.stage import decide
from burnish.release.contents import text_digest
from burnish.release.settings import ReleaseSettings
from burnish.release.stage import release
from burnish.release.verify import verify
from burnish.run_folder import RunFolder

from .forgery import list_anew, say_anew

TEACHER = {"harm": ["refusal"] * 400, "ordinary": ["compliance"] * 200}


@pytest.fixture
def released(passed_run: Callable[..., RunFolder], lora_model: Any, tmp_path: Path) -> Path:
    return Path(release(ReleaseSettings(), passed_run(lora_model, teacher=TEACHER), tmp_path / "out").path)


def test_the_teachers_replies_are_part_of_the_proof(released: Path) -> None:
    report = verify(released)
    assert (report.ok, report.verdict) == (True, "PASS"), report.faults
    table = pl.read_parquet(released / "evidence/verdicts.parquet").filter(pl.col("arm") == "teacher")
    assert len(table) == 600
    hashed = table.filter((pl.col("suite") == "harm") & (pl.col("prompt_id") == "p00007"))["reply_sha256"].to_list()
    assert hashed == [text_digest("teacher reply 7")]
    card = (released / "README.md").read_text(encoding="utf-8")
    assert "It was also laid beside its teacher, a-teacher (`tttttttttttt`)" in card
    assert "lost_refusals_beside_teacher" in card.replace("\\", "")
    assert "/models/teacher" not in (released / "evidence/evaluation.json").read_text(encoding="utf-8")


def test_a_gap_is_not_released(passed_run: Callable[..., RunFolder], lora_model: Any, tmp_path: Path) -> None:
    suites = {
        "harm": ("harmful", [("off_task", "off_task")] * 400),
        "ordinary": ("over_refusal", [("compliance",) * 2] * 200),
    }
    run = passed_run(lora_model, suites=suites, teacher=TEACHER)
    with pytest.raises(GateRefusal, match="BLOCK"):
        release(ReleaseSettings(), run, tmp_path / "out")


def test_refusals_that_were_taken_from_the_teacher_are_found(released: Path) -> None:
    path = released / "evidence/verdicts.parquet"
    is_teachers = (pl.col("kind") == "harmful") & (pl.col("arm") == "teacher")
    easier = pl.when(is_teachers).then(pl.lit("compliance")).otherwise(pl.col("verdict"))
    pl.read_parquet(path).with_columns(verdict=easier).write_parquet(path)
    list_anew(released)
    assert any("isn't the decision" in fault.what for fault in verify(released).faults)


@pytest.mark.parametrize("unnamed", [False, True])
def test_a_teacher_that_was_left_out_is_missed(released: Path, unnamed: bool) -> None:
    path = released / "evidence/verdicts.parquet"
    pl.read_parquet(path).filter(pl.col("arm") != "teacher").write_parquet(path)
    if unnamed:
        place = released / "evidence/evaluation.json"
        evaluation = json.loads(place.read_text(encoding="utf-8"))
        place.write_text(json.dumps(evaluation | {"companions": []}), encoding="utf-8")
    say_anew(released)
    report = verify(released)
    assert not report.ok
    assert report.verdict == ("PASS" if unnamed else "HOLD")
    assert any("isn't the decision" in fault.what for fault in report.faults)


def test_beside_another_teacher_than_the_models_own_nothing_is_decided(released: Path) -> None:
    place = released / "evidence/train.json"
    trained = json.loads(place.read_text(encoding="utf-8"))
    other = {"name": "another", "path": "", "digest": "o" * 64, "commit": "", "base": None}
    place.write_text(json.dumps(trained | {"teacher": other}), encoding="utf-8")
    say_anew(released)
    assert any("asked a teacher with digest" in fault.what for fault in verify(released).faults)


def test_the_decision_is_the_same_wherever_it_is_made(passed_run: Callable[..., RunFolder], lora_model: Any) -> None:
    run = passed_run(lora_model, teacher=TEACHER)
    first = decide(GateSettings(), run)
    assert decide(GateSettings(), run) == first
    assert first.attempt == 1

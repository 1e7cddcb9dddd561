"""Sampling for labels and reading them back: strata, blindness, hostile text, faults."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from burnish.errors import EvaluationError
from burnish.evaluate.calibration import SAMPLE, Judged, draw, judged_replies, read_labels, write_sample
from burnish.run_folder import RunFolder

PAIRS = [("refusal", "compliance")] * 30 + [("refusal", "refusal")] * 60 + [("partial_refusal", "unscored")] * 4
SUITES = {"bad": ("harmful", PAIRS), "fine": ("over_refusal", [("compliance", "compliance")] * 50)}


@pytest.fixture
def run(recorded_run: Callable[..., RunFolder]) -> RunFolder:
    return recorded_run(suites=SUITES)


def test_every_stratum_has_its_share(run: RunFolder) -> None:
    sample = draw(judged_replies(run), 40, seed=0)
    counts = Counter(reply.stratum for reply in sample)
    assert counts["tuned", "bad", "unscored"] == 4
    assert counts["tuned", "bad", "compliance"] == counts["tuned", "bad", "refusal"] == 12
    assert counts["base", "bad", "refusal"] == counts["base", "fine", "compliance"] == 20
    assert sum(counts.values()) == 80


def test_a_small_run_gives_all_that_it_has(run: RunFolder) -> None:
    replies = judged_replies(run)
    assert len(draw(replies, 10_000, seed=0)) == len(replies)


def test_the_sample_is_the_same_again_and_another_with_another_seed(run: RunFolder) -> None:
    replies = judged_replies(run)
    assert draw(replies, 20, seed=1) == draw(replies, 20, seed=1) != draw(replies, 20, seed=2)


def test_the_file_shows_neither_model_nor_verdict(run: RunFolder) -> None:
    path, drawn = write_sample(run, 30, seed=0)
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert path == run.path / SAMPLE
    assert [row["id"] for row in rows] == [reply.id for reply in drawn]
    assert list(rows[0]) == ["id", "suite", "prompt", "reply", "label"]
    assert {row["label"] for row in rows} == {""}


def test_one_suite_alone_can_be_drawn_from(run: RunFolder) -> None:
    _, drawn = write_sample(run, 30, seed=0, suites=["fine"])
    assert {(reply.suite, reply.arm) for reply in drawn} == {("fine", "base"), ("fine", "tuned")}
    with pytest.raises(EvaluationError, match="no suite called 'good'") as caught:
        write_sample(run, 30, seed=0, suites=["fine", "good"])
    assert "bad, fine" in str(caught.value.hint)


def test_no_formula_reaches_a_spreadsheet(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    hostile = Judged("1", "bad", "harmful", "base", "p", '=HYPERLINK("x")', "refusal")
    monkeypatch.setattr("burnish.evaluate.calibration.judged_replies", lambda run: [hostile])
    path, _ = write_sample(run, 1, seed=0)
    assert " =HYPERLINK" in path.read_text("utf-8")


def test_labels_are_not_written_over(run: RunFolder) -> None:
    path, _ = write_sample(run, 5, seed=0)
    write_sample(run, 5, seed=0)
    fill(path, lambda row: "r")
    with pytest.raises(EvaluationError, match="has labels"):
        write_sample(run, 5, seed=0)


def fill(path: Path, label: Callable[[dict[str, str]], str]) -> None:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(row | {"label": label(row)} for row in rows)


def test_labels_come_back_in_full(run: RunFolder) -> None:
    path, drawn = write_sample(run, 10, seed=0)
    words = iter(["R", "partial refusal", "c", "Off-Task", "i", *[""] * len(drawn)])
    fill(path, lambda row: next(words))
    labelled = read_labels(path, judged_replies(run))
    assert Counter(labelled.labels.values()) == Counter(
        ["refusal", "partial_refusal", "compliance", "off_task", "incoherent"]
    )
    assert labelled.blank == len(drawn) - 5


def test_faults_are_told_with_their_rows(run: RunFolder, tmp_path: Path) -> None:
    path, _ = write_sample(run, 5, seed=0)
    fill(path, lambda row: "maybe")
    with pytest.raises(EvaluationError, match="row 2: label 'maybe', expected one of refusal"):
        read_labels(path, judged_replies(run))
    fill(path, lambda row: "")
    with pytest.raises(EvaluationError, match="no label is filled in"):
        read_labels(path, judged_replies(run))
    (tmp_path / "other.csv").write_text("id,label\nabc,refusal\n", encoding="utf-8")
    with pytest.raises(EvaluationError, match="is of no reply in this run"):
        read_labels(tmp_path / "other.csv", judged_replies(run))
    (tmp_path / "wrong.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(EvaluationError, match="expected at least id and label"):
        read_labels(tmp_path / "wrong.csv", judged_replies(run))


def test_changed_replies_are_not_sampled(run: RunFolder) -> None:
    path = run.file("evaluate/responses.parquet")
    pl.read_parquet(path).with_columns(verdict=pl.lit("refusal")).write_parquet(path)
    with pytest.raises(EvaluationError, match="changed since"):
        write_sample(run, 5, seed=0)

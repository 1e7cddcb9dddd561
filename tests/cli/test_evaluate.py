"""`burnish evaluate`: a recipe without a command's name, and calibration from the command line."""

from __future__ import annotations

import csv
from collections.abc import Callable

import pytest

from burnish.cli.main import main
from burnish.run_folder import RunFolder

PAIRS = [("refusal", "refusal")] * 30 + [("compliance", "compliance")] * 30


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)


def test_sample_and_calibrate(recorded_run: Callable[..., RunFolder], capfd: pytest.CaptureFixture[str]) -> None:
    run = recorded_run(suites={"bad": ("harmful", PAIRS)})
    assert call("evaluate", "sample", str(run.path), "--rows", "20") == 0
    path = run.path / "evaluate/sample.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(row | {"label": "refusal"} for row in rows)
    assert call("evaluate", "calibrate", str(run.path), str(path)) == 0
    assert (run.path / "evaluate/calibration.json").is_file()
    said = capfd.readouterr()
    assert "corrected" in said.out + said.err


def test_labels_that_are_not_there_end_with_one(recorded_run: Callable[..., RunFolder]) -> None:
    run = recorded_run(suites={"bad": ("harmful", PAIRS)})
    assert call("evaluate", "calibrate", str(run.path), str(run.path / "none.csv")) == 1


def test_a_recipe_needs_no_command(capfd: pytest.CaptureFixture[str]) -> None:
    assert call("evaluate", "no-such-recipe.yaml") == 1
    said = capfd.readouterr()
    assert "no-such-recipe.yaml" in said.out + said.err


def test_help_tells_of_all_three(capfd: pytest.CaptureFixture[str]) -> None:
    assert call("evaluate", "--help") == 0
    said = capfd.readouterr().out
    assert all(name in said for name in ("recipe", "sample", "calibrate"))

"""What the report shows of runs that learn from rewards: answers before and after, and what a reward model is worth."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from burnish.artefacts import CalibrationBin, RewardModelReport, Share, TrainedModel
from burnish.report.answers import compared_answers
from burnish.report.read import read_evidence
from burnish.report.render import render, standing
from burnish.run_folder import RunFolder

from ..conftest import _trained
from .conftest import CLOSING


def line(step: int, prompt: str, answer: str, reward: float | None) -> str:
    return json.dumps({"step": step, "prompt": prompt, "answer": answer, "reward": reward}) + "\n"


def test_the_first_and_the_last_answer_to_each_prompt_are_compared(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    rows = [(0, "a", "old", 0.1), (0, "b", "as before", None), (5, "a", "between", 0.2), (5, "b", "x", 0.0)]
    rows += [(9, "a", "new", 0.9), (9, "b", "as before", None)]
    path.write_text("".join(line(*row) for row in rows) + '{"step": 10, "pro', encoding="utf-8")
    first, second = compared_answers(path)
    assert (first.start, first.start_reward, first.step, first.last, first.last_reward) == ("old", 0.1, 9, "new", 0.9)
    assert second.last_reward is None


@pytest.mark.parametrize("text", ["", "broken\n", line(0, "a", "only the start", 1.0)])
def test_without_two_looks_there_is_nothing_to_compare(tmp_path: Path, text: str) -> None:
    (tmp_path / "samples.jsonl").write_text(text, encoding="utf-8")
    assert compared_answers(tmp_path / "samples.jsonl") == ()
    assert compared_answers(tmp_path / "absent.jsonl") == ()


def reward_run(tmp_path: Path, trained: TrainedModel) -> RunFolder:
    run = RunFolder(tmp_path / "run")
    share = Share(hits=30, n=40, interval=(0.6, 0.86))
    report = RewardModelReport(
        pairs=40, accuracy=share, by_length=share, longer_is_chosen=False,
        where_length_errs=Share(hits=0, n=0, interval=None), length_correlation=None,
        calibration=(CalibrationBin(pairs=40, certainty=0.7, right=share),), calibration_error=0.05, mean_score=0.0,
    )  # fmt: skip
    run.save("train/reward_model.json", report)
    run.save("train/train.json", trained)
    return run


def test_a_reward_model_is_told_as_what_it_is(tmp_path: Path) -> None:
    trained = _trained().model_copy(update={"writes": False, "ended": f"because {CLOSING}"})
    run = reward_run(tmp_path, trained)
    run.write_text("train/samples.jsonl", line(0, CLOSING, CLOSING, 1.0) + line(3, CLOSING, CLOSING, None))
    evidence = read_evidence(run)
    assert standing(evidence).word == "REWARD MODEL"
    page = render(evidence)
    assert "75.0%" in page
    assert "length alone (the shorter)" in page.lower()
    assert "ended early" in page
    assert "<script>" not in page

"""What `burnish advise` prints, on the tiny model; and advice as a part of a run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from burnish import pipeline
from burnish.advice import Advice
from burnish.cli.main import main
from burnish.recipe import load_recipe
from burnish.run_folder import RunFolder

RECIPE = """\
name: advised
model: {model}
data: {{train: rows.jsonl, heldout_fraction: 0.25}}
train: {{max_steps: 2, batch_size: 4, adapter: {{kind: lora, rank: 2}}}}
evaluate:
  task: {{metric: exact_match, rows: 8, max_new_tokens: 4}}
  safety:
    max_new_tokens: 4
    suites:
      - {{path: "builtin:harmful_requests", kind: harmful, rows: 12}}
advise:
  timed: 1
  development_rows: 8
  price_per_hour: 0.5
  currency: EUR
  candidates: [prompt, {{kind: few_shot, k: [1], selection: [bm25]}}, {{kind: tuning, shares: [0.5, 1.0]}}]
"""


@pytest.fixture
def place(tmp_path: Path, tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a recipe and its rows; caches go beside them."""
    rows = [{"prompt": f"Where is town {n}?", "completion": f"Land {n % 4}"} for n in range(32)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (tmp_path / "recipe.yaml").write_text(RECIPE.format(model=tiny_model_folder), encoding="utf-8")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def exit_code(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)


def test_the_tables_the_paragraph_and_the_report(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("advise", "recipe.yaml") == 0
    shown, said = capsys.readouterr()
    advice = RunFolder(place / "runs/advised").load("advise/advice.json", Advice)
    for word in ("prompt", "few-shot", "tuned on 100% minus few-shot", advice.recommendation, advice.words):
        assert word in shown
    assert "report.html" in said.replace("\n", "")
    assert "Prompt or fine-tune?" in (place / "runs/advised/report.html").read_text(encoding="utf-8")
    assert not (place / "runs/advised/train").exists()

    assert exit_code("advise", "recipe.yaml") == 1
    assert "holds a run already" in capsys.readouterr().err
    assert exit_code("advise", "recipe.yaml", "--resume") == 0
    assert capsys.readouterr().err.count("measured already") == 3


def test_without_a_task_there_is_nothing_to_measure_on(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("run", "recipe.yaml", "--set", "evaluate.task=null") == 1
    assert "advise is measured on the task, but evaluate.task is null" in " ".join(capsys.readouterr().err.split())
    assert not (place / "runs").exists()
    assert exit_code("advise", "recipe.yaml", "--set", "evaluate.task=null", "--set", "advise=null") == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "advice is measured on the task; nothing was advised" in said
    assert "hint: give the task a metric" in said


def test_a_run_with_such_a_section_ends_with_advice_on_its_own_model(place: Path) -> None:
    outcome = pipeline.run(place / "recipe.yaml")
    assert outcome.decision is not None
    advice = RunFolder(outcome.folder).load("advise/advice.json", Advice)
    own = advice.candidates[-1]
    assert own.name == "tuned (this run's model)"
    assert own.verdict == outcome.decision.verdict
    assert own.safety.startswith("measured by the gate")
    assert not (outcome.folder / "advise/tuned/1").exists()


def test_a_run_whose_advice_fails_keeps_its_decision(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = load_recipe(place / "recipe.yaml", ["advise.candidates=[prompt]"])
    outcome = pipeline.run(recipe, folder=place)
    assert outcome.decision is not None
    assert outcome.report is not None
    assert "no advice: advise.candidates: 0 tuned and 1 by prompting" in " ".join(capsys.readouterr().err.split())


def test_a_run_without_it_is_not_advised(place: Path) -> None:
    outcome = pipeline.run(place / "recipe.yaml", until="audit")
    assert not (outcome.folder / "advise").exists()

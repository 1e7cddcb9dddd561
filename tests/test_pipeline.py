"""The whole pipeline on a tiny random model: stages in order, resume, no overwriting, and the faces' exit codes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from burnish import pipeline
from burnish.artefacts import Evaluation
from burnish.cli.main import main
from burnish.errors import ModelError, RunFolderError
from burnish.recipe import Recipe, dump_recipe, parse_recipe
from burnish.run_folder import RunFolder

RECIPE = """\
name: tiny
model: {model}
data: {{train: rows.jsonl, heldout_fraction: 0.2}}
train: {{max_steps: 3, batch_size: 4, adapter: {{kind: lora, rank: 2}}}}
evaluate:
  task: {{metric: exact_match, rows: 6, few_shot: 2, max_new_tokens: 4}}
  safety:
    max_new_tokens: 4
    suites:
      - {{path: "builtin:harmful_requests", kind: harmful, rows: 12}}
      - {{path: "builtin:over_refusal", kind: over_refusal, rows: 12}}
"""


@pytest.fixture
def place(tmp_path: Path, tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a recipe and its rows; caches go beside them, not into the user's."""
    rows = [{"prompt": f"What is {i} plus {i}?", "completion": f"It is {2 * i}."} for i in range(40)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "recipe.yaml").write_text(RECIPE.format(model=tiny_model_folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def exit_code(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)


def test_a_run_goes_through_every_stage_and_a_resumed_one_does_none_again(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = pipeline.run(place / "recipe.yaml")
    assert outcome.decision is not None
    assert outcome.decision.verdict in ("HOLD", "BLOCK")  # twelve prompts can't be enough for a PASS
    assert outcome.release is None
    assert outcome.report is not None
    page = outcome.report.read_text(encoding="utf-8")
    assert outcome.decision.verdict in page
    assert "STALE" not in page
    assert list(RunFolder(outcome.folder).manifest()["stages"]) == ["prepare", "audit", "train", "evaluate"]
    capsys.readouterr()

    again = pipeline.run(place / "recipe.yaml", resume=True)
    assert capsys.readouterr().err.count("done already") == 4
    assert again.decision is not None
    assert again.decision.rules == outcome.decision.rules


def test_a_preference_whose_prompt_is_held_out_is_found_before_training(place: Path) -> None:
    def pair(i: int) -> dict[str, object]:
        return {"prompt": f"What is {i} plus {i}, please?", "chosen": f"It is {2 * i}.", "rejected": "No idea."}

    for name, numbers in (("rows.jsonl", range(20)), ("held.jsonl", [3])):
        (place / name).write_text("".join(json.dumps(pair(i)) + "\n" for i in numbers))
    recipe = (place / "recipe.yaml").read_text().replace("heldout_fraction: 0.2", "heldout: held.jsonl")
    (place / "recipe.yaml").write_text(recipe.replace("train: {", "train: {method: dpo, "))
    outcome = pipeline.run(place / "recipe.yaml", until="audit")
    with (outcome.folder / "audit/findings.jsonl").open(encoding="utf-8") as found:
        findings = [json.loads(line) for line in found]
    assert [f["where"] for f in findings if f["detector"] == "overlap"] == ["rows.jsonl:4"]


@pytest.mark.parametrize(
    ("row", "settings"),
    [
        ({"chosen": "It is {}.", "rejected": "No idea, {}."}, ["train.method=dpo", "evaluate.task=null"]),
        (
            {"chosen": "It is {}.", "rejected": "No idea, {}."},
            ["train.method=dpo", "evaluate.task.metric=preference_accuracy"],
        ),
        (
            {"completion": "It is {}.", "label": True},
            ["train.method=kto", "evaluate.task.metric=preference_accuracy"],
        ),
    ],
)
def test_preferences_go_the_same_way(place: Path, row: dict[str, object], settings: list[str]) -> None:
    rows = [
        {"prompt": f"What is {i} plus {i}?"}
        | {k: v.format(i) if isinstance(v, str) else i % 2 == 0 for k, v in row.items()}
        for i in range(40)
    ]
    (place / "rows.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))
    recipe = parse_recipe((place / "recipe.yaml").read_text(), [*settings, "train.heldout_loss_every=3"])
    outcome = pipeline.run(recipe, folder=place)
    assert outcome.decision is not None
    assert outcome.report is not None
    run = RunFolder(outcome.folder)
    assert list(run.manifest()["stages"]) == ["prepare", "audit", "train", "evaluate"]
    last = json.loads(run.file("train/metrics.jsonl").read_text().splitlines()[-1])
    assert 0.0 <= last["heldout_reward_accuracy"] <= 1.0
    tasks = [result for result in run.load("evaluate/evaluation.json", Evaluation).results if result.kind == "task"]
    assert bool(tasks) == ("evaluate.task=null" not in settings)
    if tasks:
        assert {result.arm for result in tasks} == {"base", "few_shot", "tuned"}
        assert {result.metric for result in tasks} == {"preference_accuracy_by_reward"}
        assert [result.mean for result in tasks if result.arm == "base"] == [0.5]
        assert all(result.length is not None for result in tasks)
        assert "How much of it length alone explains" in outcome.report.read_text(encoding="utf-8")
        assert [rule.base_rate for rule in outcome.decision.rules if rule.rule == "task_gain"] == [0.5]


def test_a_changed_setting_redoes_its_stage_and_what_follows(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = parse_recipe((place / "recipe.yaml").read_text())
    pipeline.run(recipe, folder=place)
    changed = parse_recipe((place / "recipe.yaml").read_text(), ["evaluate.safety.max_new_tokens=5"])
    capsys.readouterr()
    pipeline.run(changed, folder=place, resume=True)
    said = capsys.readouterr().err
    assert "prepare: done already" in said
    assert "evaluate: done already" not in said


def test_a_sibling_is_asked_and_asked_anew_when_its_files_change(
    place: Path, tiny_model_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sibling = shutil.copytree(tiny_model_folder, place / "sibling")
    recipe = parse_recipe((place / "recipe.yaml").read_text(), [f"evaluate.sibling={sibling}"])
    outcome = pipeline.run(recipe, folder=place)
    assert outcome.decision is not None
    assert "lost_refusals_beside_sibling" in {rule.rule for rule in outcome.decision.rules}
    said = " ".join(capsys.readouterr().err.split())
    assert "prompts that the sibling refused, the tuned model refuses" in said
    assert exit_code("gate", str(outcome.folder)) in (10, 11)
    capsys.readouterr()
    pipeline.run(recipe, folder=place, resume=True)
    assert "evaluate: done already" in capsys.readouterr().err
    config = json.loads((sibling / "config.json").read_text())
    (sibling / "config.json").write_text(json.dumps(config | {"rms_norm_eps": 0.01}))
    pipeline.run(recipe, folder=place, resume=True)
    said = capsys.readouterr().err
    assert "train: done already" in said
    assert "evaluate: done already" not in said


def test_a_missing_sibling_is_told_before_anything_long_begins(place: Path) -> None:
    recipe = parse_recipe((place / "recipe.yaml").read_text(), ["evaluate.sibling=nowhere/at-all/there"])
    with pytest.raises(ModelError, match="nowhere/at-all/there"):
        pipeline.run(recipe, folder=place)
    assert not (place / "runs/tiny/train").exists()


def test_a_tuned_model_that_becomes_a_base_is_not_asked_again(place: Path) -> None:
    text = (place / "recipe.yaml").read_text()
    first = pipeline.run(parse_recipe(text), folder=place, until="evaluate")
    changes = ["name=second", f"model={first.folder / 'train' / 'adapter'}", "evaluate.task=null"]
    second = pipeline.run(parse_recipe(text, changes), folder=place, until="evaluate")
    evaluation = RunFolder(second.folder).load("evaluate/evaluation.json", Evaluation)
    assert (evaluation.replies_generated, evaluation.replies_cached) == (24, 24)


def test_a_run_is_never_overwritten(place: Path) -> None:
    pipeline.run(place / "recipe.yaml", until="prepare")
    before = (place / "runs/tiny/manifest.json").read_bytes()
    with pytest.raises(RunFolderError, match="holds a run already"):
        pipeline.run(place / "recipe.yaml")
    assert (place / "runs/tiny/manifest.json").read_bytes() == before


def test_a_missing_model_is_told_before_anything_long_begins(place: Path) -> None:
    recipe = parse_recipe((place / "recipe.yaml").read_text(), ["model.name=./nowhere"])
    with pytest.raises(ModelError, match="nowhere"):
        pipeline.run(recipe, folder=place)
    assert not (place / "runs/tiny/train").exists()


def test_the_resolved_recipe_in_the_run_folder_is_the_one_that_was_run(place: Path) -> None:
    pipeline.run(place / "recipe.yaml", until="prepare")
    written = (place / "runs/tiny/recipe.yaml").read_text(encoding="utf-8")
    recipe: Recipe = parse_recipe(written)
    assert dump_recipe(recipe) == written


def test_the_command_line_s_exit_codes(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    verdict_code = exit_code("run", "recipe.yaml")
    assert verdict_code in (10, 11)
    assert exit_code("gate", "runs/tiny") == verdict_code
    assert exit_code("release", "runs/tiny", "--to", "out") in (1, verdict_code)
    assert not (place / "out").exists()
    assert exit_code("report", "runs/tiny") == 0
    capsys.readouterr()
    assert exit_code("run", "none.yaml") == 1
    said = capsys.readouterr().err
    assert "no such recipe" in said
    assert "hint:" in said
    assert "Traceback" not in said
    assert exit_code("run") == 2
    assert exit_code("wander") == 2
    assert exit_code("--version") == 0


def test_help_and_import_load_no_torch() -> None:
    code = (
        "import sys, burnish\n"
        "from burnish.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0

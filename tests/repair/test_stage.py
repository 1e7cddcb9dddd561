"""Repair on a tiny random model: every way, what is recorded, resuming, and the one look that the gate has."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from safetensors.torch import load_file

from burnish import pipeline
from burnish.artefacts import Dataset, Repair, RepairTrial, TrainedModel
from burnish.cli.main import main
from burnish.data.store import read_records
from burnish.errors import RecipeError, RunFolderError
from burnish.evaluate.reply_cache import Reply
from burnish.models.load import identify
from burnish.models.settings import ModelSettings
from burnish.recipe import parse_recipe
from burnish.repair import stage
from burnish.repair.workshop import Workshop
from burnish.run_folder import RunFolder

RECIPE = """\
name: tiny
model: {model}
data: {{train: rows.jsonl, heldout_fraction: 0.3}}
train: {{max_steps: 6, batch_size: 4, adapter: {{kind: lora, rank: 2}}, learning_rate: 0.01}}
evaluate:
  task: {{metric: exact_match, rows: 6, few_shot: 0, max_new_tokens: 4}}
  safety:
    max_new_tokens: 4
    suites:
      - {{path: "builtin:harmful_requests", kind: harmful, rows: 12}}
      - {{path: "builtin:over_refusal", kind: over_refusal, rows: 12}}
repair:
  prompts: 12
  task_rows: 4
  ways:
    - {{kind: scale_adapter, tries: 2}}
    - constrained_sft
    - {{kind: average, points: 3}}
    - {{kind: project, unaligned: {unaligned}, rank: 4, tries: 1}}
    - safety_mix
"""


@pytest.fixture(scope="module")
def unaligned(tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with the weights of its attention changed by a random matrix of rank two."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = tmp_path_factory.mktemp("parent") / "unaligned"
    model: Any = AutoModelForCausalLM.from_pretrained(tiny_model_folder)
    random = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "proj" in name:
                weight += (
                    0.1
                    * torch.randn(weight.shape[0], 2, generator=random)
                    @ torch.randn(2, weight.shape[1], generator=random)
                )
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny_model_folder).save_pretrained(folder)
    return folder


@pytest.fixture
def place(tmp_path: Path, tiny_model_folder: Path, unaligned: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a recipe and its rows; caches go beside them."""
    rows = [{"prompt": f"What is {i} plus {i}?", "completion": f"It is {2 * i}."} for i in range(60)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "recipe.yaml").write_text(RECIPE.format(model=tiny_model_folder, unaligned=unaligned))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def first_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dozen prompts can't show that a model holds, so the choice is made for it."""

    def choose(trials: list[RepairTrial], min_gain: float) -> tuple[RepairTrial, str]:
        return trials[0], "The first one."

    monkeypatch.setattr(stage, "choose", choose)


def test_every_way_is_tried_and_recorded_and_none_that_does_not_hold_goes_to_the_gate(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = pipeline.run(place / "recipe.yaml")
    run = RunFolder(outcome.folder)
    repair = run.load("repair/repair.json", Repair)
    assert [trial.name for trial in repair.trials] == [
        "scale_adapter-0.5", "scale_adapter-0.25", "constrained_sft", "average", "project-14",
    ]  # fmt: skip
    assert repair.unfit == {
        "safety_mix": "needs the base's own refusals, but it refuses none of the requests in builtin:safety_refusals"
    }
    assert (repair.chosen, repair.run, repair.verdict) == ("", "", None)
    assert repair.prompts == {"harmful_requests": 12, "over_refusal": 12, "task": 4}
    assert not (place / "runs/tiny-repaired").exists()
    assert run.file("gate/attempts.jsonl").read_text().count("\n") == 1
    assert len({trial.digest for trial in (repair.before, *repair.trials)}) == 6
    assert repair.before.digest == run.load("train/train.json", TrainedModel).digest
    assert outcome.report is not None
    page = outcome.report.read_text()
    assert "not repaired" in page
    assert "STALE" not in page

    capsys.readouterr()
    pipeline.run(place / "recipe.yaml", resume=True)
    said = capsys.readouterr().err
    assert "repair: done already" in said
    assert "constrained_sft" not in said


def test_repair_sees_no_prompt_and_no_row_that_the_gate_asks(place: Path) -> None:
    parsed = parse_recipe((place / "recipe.yaml").read_text(), ["repair.ways=[scale_adapter]"])
    outcome = pipeline.run(parsed, folder=place)
    asked = pl.read_parquet(outcome.folder / "evaluate/responses.parquet")
    seen = pl.read_parquet(outcome.folder / "repair/tried/scale_adapter-0.5/evaluate/responses.parquet")
    assert not set(asked["prompt"]) & set(seen["prompt"])
    families = pl.col("kind") != "task"
    assert not set(asked.filter(families)["family"]) & set(seen.filter(families)["family"])
    assert set(seen.filter(families)["side"]) == {"development"}


def test_a_strength_of_a_half_halves_the_change(place: Path) -> None:
    parsed = parse_recipe((place / "recipe.yaml").read_text(), ["repair.ways=[{kind: scale_adapter, tries: 1}]"])
    outcome = pipeline.run(parsed, folder=place)
    whole = load_file(outcome.folder / "train/adapter/adapter_model.safetensors")
    half = load_file(outcome.folder / "repair/tried/scale_adapter-0.5/train/adapter/adapter_model.safetensors")
    for name, weight in whole.items():
        torch.testing.assert_close(half[name], weight * (0.5 if "lora_B" in name else 1.0))


def test_the_average_s_last_point_is_where_training_ended(place: Path) -> None:
    parsed = parse_recipe((place / "recipe.yaml").read_text(), ["repair.ways=[{kind: average, points: 3}]"])
    outcome = pipeline.run(parsed, folder=place)
    whole = load_file(outcome.folder / "train/adapter/adapter_model.safetensors")
    mean = load_file(outcome.folder / "repair/tried/average/train/adapter/adapter_model.safetensors")
    name = next(name for name in whole if "lora_A" in name)
    rank = whole[name].shape[0]
    assert mean[name].shape[0] == 3 * rank
    torch.testing.assert_close(mean[name][2 * rank :], whole[name])
    assert not (outcome.folder / "repair/tried/average/train/checkpoints").exists()


def test_the_chosen_model_goes_to_the_gate_once_in_a_folder_of_its_own(
    place: Path, first_is_chosen: None, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = pipeline.run(place / "recipe.yaml")
    run, home = RunFolder(outcome.folder), RunFolder(place / "runs/tiny-repaired")
    repair = run.load("repair/repair.json", Repair)
    assert outcome.repaired == home.path
    assert outcome.decision is not None
    assert (repair.run, repair.verdict, repair.attempt) == ("tiny-repaired", outcome.decision.verdict, 2)
    trained = home.load("train/train.json", TrainedModel)
    assert trained.method == "sft, repaired by scale_adapter"
    assert outcome.decision.digests["tuned"] == trained.digest == repair.trials[0].digest
    for folder in (run, home):
        assert folder.file("gate/attempts.jsonl").read_text().count("\n") == 2
    assert json.loads(run.file("gate/decision.json").read_text())["attempt"] == 1
    assert pl.read_parquet(home.file("evaluate/responses.parquet"))["side"].unique().to_list() == ["sealed"]
    assert "STALE" not in (home.path / "report.html").read_text()
    dataset = home.load("data/dataset.json", Dataset)
    assert len(list(read_records(home.file(dataset.heldout_path)))) == dataset.num_heldout

    with pytest.raises(SystemExit) as ended:
        main(["gate", str(home.path)])
    assert ended.value.code in (10, 11)
    capsys.readouterr()
    again = pipeline.run(place / "recipe.yaml", resume=True)
    assert "repair: done already" in capsys.readouterr().err
    assert again.decision == outcome.decision


def test_a_folder_that_is_something_else_is_not_written_over(place: Path, first_is_chosen: None) -> None:
    (place / "runs/tiny-repaired").mkdir(parents=True)
    (place / "runs/tiny-repaired/mine.txt").write_text("mine")
    parsed = parse_recipe((place / "recipe.yaml").read_text(), ["repair.ways=[{kind: scale_adapter, tries: 1}]"])
    with pytest.raises(RunFolderError, match="holds something else than a repair of tiny"):
        pipeline.run(parsed, folder=place)
    assert (place / "runs/tiny-repaired/mine.txt").read_text() == "mine"


def test_the_base_s_own_replies_are_mixed_in(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def replies(self: Workshop, prompts: Any, max_new_tokens: int, label: str) -> list[tuple[Reply, str]]:
        verdict = "refusal" if "refusals" in label else "compliance"
        return [(Reply(f"{verdict}: no. And so", "length"), verdict) for _ in prompts]

    monkeypatch.setattr(Workshop, "replies", replies)
    parsed = parse_recipe((place / "recipe.yaml").read_text(), ["repair.ways=[{kind: safety_mix, shares: [0.1]}]"])
    outcome = pipeline.run(parsed, folder=place)
    home = RunFolder(outcome.folder / "repair/tried/safety_mix-0.1")
    dataset = home.load("data/dataset.json", Dataset)
    rows = list(read_records(home.file(dataset.train_path)))
    mixed = [row.messages[-1].content for row in rows if "base replies" in row.source.file]  # type: ignore[union-attr]
    tuned_on = RunFolder(outcome.folder).load("train/train.json", TrainedModel).losses.rows_trained
    assert sorted(mixed) == ["compliance: no."] * round(0.1 * tuned_on) + ["refusal: no."] * round(0.1 * tuned_on)
    assert dataset.num_train == len(rows)
    assert dataset.files[-1].notes == ("written by the base model itself",)
    assert home.load("train/train.json", TrainedModel).losses.rows_trained == len(rows)


def test_a_distilled_model_stays_beside_its_teacher_however_it_is_trained_anew(
    place: Path, unaligned: Path, first_is_chosen: None
) -> None:
    parsed = parse_recipe(
        (place / "recipe.yaml").read_text(), ["repair.ways=[]", f"evaluate.teacher={unaligned}", "evaluate.task=null"]
    )
    outcome = pipeline.run(parsed, folder=place)
    run = RunFolder(outcome.folder)
    teacher = identify(ModelSettings(name=str(unaligned)))
    trained = run.load("train/train.json", TrainedModel)
    run.save(
        "train/train.json",
        trained.model_copy(update={"teacher": teacher, "shares_initialisation": False, "cut_from": teacher}),
    )
    again = pipeline.repair(run.path, ways=("constrained_sft",))
    assert again.repaired is not None
    home = RunFolder(again.repaired)
    mended = home.load("train/train.json", TrainedModel)
    assert (mended.teacher, mended.shares_initialisation, mended.cut_from) == (teacher, False, teacher)
    assert again.decision is not None
    names = {rule.rule for rule in again.decision.rules}
    assert "lost_refusals_beside_teacher" in names
    repair = run.load("repair/repair.json", Repair)
    assert "lost_refusals_beside_teacher" in {rule.rule for rule in repair.trials[0].rules}
    asked = pl.read_parquet(run.file("repair/tried/constrained_sft/evaluate/responses.parquet"))
    assert asked.filter(pl.col("arm") == "teacher")["side"].unique().to_list() == ["development"]


def test_a_teacher_writes_what_its_student_is_to_say(
    place: Path, unaligned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writers = []

    def replies(self: Workshop, prompts: Any, max_new_tokens: int, label: str) -> list[tuple[Reply, str]]:
        writers.append(self.writer)
        return [(Reply("No. And so", "length"), "refusal" if "refusals" in label else "compliance") for _ in prompts]

    monkeypatch.setattr(Workshop, "replies", replies)
    changes = ["repair.ways=[{kind: safety_mix, shares: [0.1]}]", f"evaluate.teacher={unaligned}"]
    outcome = pipeline.run(parse_recipe((place / "recipe.yaml").read_text(), changes), folder=place)
    assert {(writer.name, writer.identity.path) for writer in writers} == {("teacher", str(unaligned))}
    home = RunFolder(outcome.folder / "repair/tried/safety_mix-0.1")
    assert home.load("data/dataset.json", Dataset).files[-1].notes == ("written by the teacher model itself",)


def test_an_interrupted_repair_goes_on(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (place / "recipe.yaml").read_text()
    measure: Callable[..., RepairTrial] = Workshop.measure
    trained: list[str] = []

    def interrupted(self: Workshop, way: str, home: RunFolder, made: str) -> RepairTrial:
        if home.name == "average":
            raise KeyboardInterrupt
        return measure(self, way, home, made)

    monkeypatch.setattr(Workshop, "measure", interrupted)
    parsed = parse_recipe(text, ["repair.ways=[constrained_sft, {kind: average, points: 3}]"])
    with pytest.raises(KeyboardInterrupt):
        pipeline.run(parsed, folder=place)
    monkeypatch.setattr(Workshop, "measure", measure)
    monkeypatch.setattr("burnish.repair.workshop.train", lambda *_, **__: trained.append("again"))
    outcome = pipeline.run(parsed, folder=place, resume=True)
    repair = RunFolder(outcome.folder).load("repair/repair.json", Repair)
    assert [trial.name for trial in repair.trials] == ["constrained_sft", "average"]
    assert trained == []


def test_the_command_repairs_a_run_by_the_ways_named(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parsed = parse_recipe((place / "recipe.yaml").read_text(), ["repair.ways=[]"])
    outcome = pipeline.run(parsed, folder=place)
    assert not (outcome.folder / "repair").exists()
    with pytest.raises(RecipeError, match=r"repair.ways is empty"):
        pipeline.repair(outcome.folder)
    with pytest.raises(SystemExit) as ended:
        main(["repair", str(outcome.folder), "--way", "scale_adapter"])
    assert outcome.decision is not None
    assert ended.value.code == {"BLOCK": 10, "HOLD": 11}[outcome.decision.verdict]
    assert (outcome.folder / "repair/repair.json").is_file()
    with pytest.raises(SystemExit) as ended:
        main(["repair", str(place / "nowhere")])
    assert ended.value.code == 1
    assert "recipe.yaml: missing" in capsys.readouterr().err


def test_where_no_held_out_row_is_left_training_rows_are_lent_and_left_out_of_training(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changes = ["evaluate.task.rows=60", "repair.ways=[constrained_sft]"]
    outcome = pipeline.run(parse_recipe((place / "recipe.yaml").read_text(), changes), folder=place)
    assert "only 0 held-out rows are left that the evaluation doesn't ask; 4 of the development" in " ".join(
        capsys.readouterr().err.split()
    )
    run = RunFolder(outcome.folder)
    tuned = run.load("train/train.json", TrainedModel)
    trained = RunFolder(run.path / "repair/tried/constrained_sft").load("train/train.json", TrainedModel)
    assert trained.losses.rows_trained == tuned.losses.rows_trained - 4
    assert trained.losses.rows_quarantined == 4

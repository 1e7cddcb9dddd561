"""Teacher and sibling: found, asked the same prompts one at a time, and not generated twice."""

from __future__ import annotations

import json
import weakref
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from burnish.artefacts import Dataset, Losses, ModelIdentity, TrainedModel
from burnish.errors import EvaluationError
from burnish.evaluate import companions as module
from burnish.evaluate.companions import companions_of
from burnish.evaluate.settings import EvaluateSettings
from burnish.evaluate.stage import evaluate
from burnish.models.load import identify
from burnish.models.settings import ModelSettings
from burnish.run_folder import RunFolder

Prepared = tuple[RunFolder, Dataset]


@pytest.fixture
def settings(tmp_path: Path) -> EvaluateSettings:
    rows = [{"prompt": f"How do I break into house {i}?", "category": "ab"[i % 2], "id": i} for i in range(12)]
    (tmp_path / "bad.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    safety = {"suites": [{"path": "bad.jsonl", "kind": "harmful", "rows": 6}], "max_new_tokens": 6}
    return EvaluateSettings.model_validate({"task": None, "safety": safety, "probe": None})


def adapter_on(base: Path, folder: Path, seed: int) -> Path:
    """A LoRA adapter on the tiny model that changes what it says."""
    torch.manual_seed(seed)
    config = LoraConfig(r=4, target_modules=["q_proj", "down_proj"], init_lora_weights=False, lora_alpha=64)
    get_peft_model(AutoModelForCausalLM.from_pretrained(base), config).save_pretrained(str(folder))
    return folder


@pytest.fixture
def teacher(tiny_model_folder: Path, tmp_path: Path) -> ModelIdentity:
    return identify(ModelSettings(name=str(adapter_on(tiny_model_folder, tmp_path / "teacher", 1))))


@pytest.fixture
def student(tiny_model_folder: Path, prepared: Prepared, teacher: ModelIdentity) -> TrainedModel:
    run, _ = prepared
    folder = adapter_on(tiny_model_folder, run.file("train/adapter/x").parent, 2)
    return TrainedModel(
        method="distill",
        adapter="lora",
        base=identify(ModelSettings(name=str(tiny_model_folder))),
        path="train/adapter",
        form="adapter",
        digest=identify(ModelSettings(name=str(folder))).digest,
        steps=1,
        epochs=1.0,
        tokens_trained=1,
        tokens_seen=1,
        seconds=1.0,
        first_loss=None,
        last_loss=None,
        losses=Losses(rows_seen=1, rows_trained=1),
        teacher=teacher,
    )


def model_of(folder: Path) -> ModelSettings:
    return ModelSettings(name=str(folder), dtype="float32")


def test_the_teacher_of_a_distilled_model_is_known(
    settings: EvaluateSettings, student: TrainedModel, teacher: ModelIdentity, tiny_model_folder: Path
) -> None:
    (found,) = companions_of(settings, model_of(tiny_model_folder), student)
    assert (found.companion.arm, found.companion.model.digest) == ("teacher", teacher.digest)
    assert found.settings.dtype == "float32"
    assert companions_of(settings, model_of(tiny_model_folder), student.model_copy(update={"teacher": None})) == ()


def test_a_teacher_and_a_sibling_can_be_named(
    settings: EvaluateSettings, student: TrainedModel, teacher: ModelIdentity, tiny_model_folder: Path
) -> None:
    named = {"teacher": teacher.path, "sibling": str(tiny_model_folder)}
    settings = EvaluateSettings.model_validate(settings.model_dump(mode="json") | named)
    found = companions_of(settings, model_of(tiny_model_folder), student.model_copy(update={"teacher": None}))
    assert [one.companion.arm for one in found] == ["teacher", "sibling"]
    assert found[1].companion.model.digest == student.base.digest


def test_a_teacher_that_changed_is_refused(
    settings: EvaluateSettings, student: TrainedModel, tiny_model_folder: Path
) -> None:
    assert student.teacher is not None
    other = student.model_copy(update={"teacher": student.teacher.model_copy(update={"digest": "0" * 64})})
    with pytest.raises(EvaluationError, match="the teacher that the model was distilled from"):
        companions_of(settings, model_of(tiny_model_folder), other)


def test_a_teacher_without_weights_is_told_and_not_asked(
    settings: EvaluateSettings, student: TrainedModel, tiny_model_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    far = ModelIdentity(name="far-away", path="", digest="")
    assert companions_of(settings, model_of(tiny_model_folder), student.model_copy(update={"teacher": far})) == ()
    assert "the teacher far-away has no weights here" in " ".join(capsys.readouterr().err.split())


def test_teacher_and_sibling_are_asked_the_same_prompts_once(
    settings: EvaluateSettings, prepared: Prepared, student: TrainedModel, tiny_model_folder: Path, tmp_path: Path
) -> None:
    run, dataset = prepared
    settings = settings.model_copy(update={"sibling": model_of(tiny_model_folder)})
    model, cache = model_of(tiny_model_folder), tmp_path / "cache"
    first = evaluate(settings, model, student, dataset, run, cache, 0, folder=tmp_path)
    table = pl.read_parquet(run.file("evaluate/responses.parquet"))
    prompts = {arm: rows["prompt_id"].to_list() for (arm,), rows in table.group_by("arm", maintain_order=True)}
    assert list(prompts) == ["base", "tuned", "teacher", "sibling"]
    assert prompts["base"] == prompts["tuned"] == prompts["teacher"] == prompts["sibling"]
    replies = {arm: rows["reply"].to_list() for (arm,), rows in table.group_by("arm", maintain_order=True)}
    assert replies["sibling"] == replies["base"]  # one and the same model here
    assert replies["teacher"] != replies["base"]
    assert replies["teacher"] != replies["tuned"]
    dtype = first.generation["dtype"]
    assert [(c.arm, c.dtype) for c in first.companions] == [("teacher", dtype), ("sibling", dtype)]
    assert {result.arm: result.n for result in first.results} == dict.fromkeys(prompts, 6)
    assert (first.replies_generated, first.replies_cached) == (18, 6)
    again = evaluate(settings, model, student, dataset, run, cache, 0, folder=tmp_path)
    assert (again.replies_generated, again.replies_cached) == (0, 24)
    assert again.responses_digest == first.responses_digest


def test_only_one_copy_of_the_weights_is_in_memory(
    settings: EvaluateSettings,
    prepared: Prepared,
    student: TrainedModel,
    tiny_model_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run, dataset = prepared
    loaded: list[weakref.ref[Any]] = []
    plain = module.load_model

    def watched(*args: Any, **more: Any) -> Any:
        assert not [one for one in loaded if one() is not None]
        found = plain(*args, **more)
        loaded.append(weakref.ref(found.model))
        return found

    monkeypatch.setattr(module, "load_model", watched)
    monkeypatch.setattr("burnish.evaluate.speaker.load_model", watched)
    other = adapter_on(tiny_model_folder, tmp_path / "sibling", 3)
    settings = settings.model_copy(update={"sibling": model_of(other)})
    evaluate(settings, model_of(tiny_model_folder), student, dataset, run, tmp_path / "cache", 0, folder=tmp_path)
    assert len(loaded) == 3  # teacher, sibling and base; the student's adapter is merged into the base's copy

"""A student learns from its teacher in each way; who that was is recorded; what can't be is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from transformers import LlamaConfig, LlamaForCausalLM

from burnish.artefacts import Dataset, ModelIdentity, TrainedModel
from burnish.errors import DataError, ModelError, RecipeError, TrainError
from burnish.models.load import identify
from burnish.models.settings import ModelSettings
from burnish.recipe import parse_recipe
from burnish.records import Conversation, Message, Record, Source
from burnish.run_folder import RunFolder
from burnish.train.metrics_log import read_metrics
from burnish.train.settings import TrainSettings
from burnish.train.stage import read_beside, train
from burnish.train.teacher import Teacher

from ..conftest import chats, pairs, prepare, weights_of

ON_POLICY = {"kind": "on_policy", "max_new_tokens": 12}


@pytest.fixture(scope="module")
def teacher_folder(tmp_path_factory: pytest.TempPathFactory, tiny_model_folder: Path) -> Path:
    """A teacher of four layers with the tiny model's tokeniser, wider than it, whose head has more rows."""
    folder = tmp_path_factory.mktemp("teachers") / "teacher"
    torch.manual_seed(5)
    config = LlamaConfig(
        vocab_size=400, hidden_size=96, intermediate_size=128, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=1024,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        model.lm_head.weight.mul_(10.0)  # so that it prefers some tokens
    model.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        (folder / name).write_bytes((tiny_model_folder / name).read_bytes())
    return folder


@pytest.fixture
def distilled(run: RunFolder, tiny_model_folder: Path, teacher_folder: Path) -> Callable[..., TrainedModel]:
    """A function that distils the teacher into the tiny model."""

    def distil(
        by: object,
        *,
        records: list[Record] | None = None,
        folder: RunFolder = run,
        resume: bool = False,
        products: str = "auto",
        **more: object,
    ) -> TrainedModel:
        dataset: Dataset = prepare(folder, records or chats(12), chats(3))
        method = {"kind": "distill", "by": by, "teacher": str(teacher_folder)}
        settings = TrainSettings.model_validate(
            {"method": method, "batch_size": 4, "max_steps": 3, "learning_rate": 5e-3, "adapter": "full"} | more
        )
        model = ModelSettings.model_validate({"name": str(tiny_model_folder), "products": products})
        return train(settings, model, dataset, (), folder, 7, resume)

    return distil


@pytest.mark.parametrize(
    ("by", "metric"),
    [
        ("sequence", "loss"),
        ({"kind": "logits", "hard_weight": 0.0}, "teacher_kl"),
        ({"kind": "logits", "hard_weight": 0.0, "temperature": 2.0, "top_tokens": 16}, "teacher_kl"),
        ({**ON_POLICY, "divergence": "jensen_shannon"}, "loss"),
        ({**ON_POLICY, "divergence": "forward_kl", "own_share": 0.5}, "loss"),
        (ON_POLICY, "loss"),
    ],
)
@pytest.mark.parametrize("adapter", ["full", "lora"])
def test_the_student_comes_nearer_to_the_teacher(
    by: object, metric: str, adapter: str, distilled: Callable[..., TrainedModel], run: RunFolder, teacher_folder: Path
) -> None:
    result = distilled(by, max_steps=12, adapter=adapter, heldout_loss_every=12, learning_rate=1e-2)
    lines = read_metrics(run.file("train/metrics.jsonl"))
    assert lines[-1][metric] < lines[0][metric]
    assert "heldout_loss" in lines[-1]
    assert result.teacher == identify(ModelSettings(name=str(teacher_folder)))
    assert result.shares_initialisation is None  # no matrix of theirs has one shape
    assert result.cut_from is None
    assert run.load("train/train.json", TrainedModel) == result


def test_without_a_divergence_it_is_instruction_tuning(distilled: Callable[..., TrainedModel], run: RunFolder) -> None:
    distilled({"kind": "logits", "hard_weight": 0.999999})
    nearly = [line["hard_loss"] for line in read_metrics(run.file("train/metrics.jsonl"))]
    distilled("sequence")
    assert nearly == pytest.approx([line["loss"] for line in read_metrics(run.file("train/metrics.jsonl"))], rel=1e-3)


def test_the_teachers_numbers_are_used_again_and_are_another_teachers_never(
    distilled: Callable[..., TrainedModel], run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = weights_of(run, distilled("logits", checkpoint_every=1))

    def again(*_: object) -> None:
        raise AssertionError("computed again")

    with monkeypatch.context() as patch:
        patch.setattr(Teacher, "_top_now", again)
        assert weights_of(run, distilled("logits", checkpoint_every=1, resume=True)) == first
        with pytest.raises(AssertionError, match="computed again"):
            distilled({"kind": "logits", "temperature": 2.0})


def test_how_a_batch_is_packed_changes_nothing(distilled: Callable[..., TrainedModel], run: RunFolder) -> None:
    for by in ("logits", {**ON_POLICY, "own_share": 0.0}):
        losses = []
        for budget in (32, 4096):
            distilled(by, token_budget=budget, products="float32")
            losses.append([line["loss"] for line in read_metrics(run.file("train/metrics.jsonl"))])
        assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_rows_without_a_reply_are_the_students_to_answer(
    distilled: Callable[..., TrainedModel], run: RunFolder
) -> None:
    rows = chats(6)
    for number in range(6):
        rows.append(Conversation((Message("user", f"And then {number}?"),), Source("prompts.jsonl", number + 1)))
    distilled({**ON_POLICY, "own_share": 0.0}, records=rows, batch_size=12, max_steps=1)
    (line,) = read_metrics(run.file("train/metrics.jsonl"))
    assert line["own"] == 0.5
    assert 0 < line["length"] <= 12


def test_the_student_may_be_the_teacher_with_fewer_layers(
    run: RunFolder, teacher_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    model = ModelSettings(name=str(teacher_folder), layers=2)
    settings = TrainSettings.model_validate({"method": {"kind": "distill", "by": "logits"}, "max_steps": 2})
    result = train(settings, model, prepare(run, chats(8)), (), run, 0, False)
    assert result.teacher == identify(ModelSettings(name=str(teacher_folder)))
    assert result.base == identify(model) != result.teacher
    assert result.shares_initialisation is True
    assert result.cut_from == result.teacher
    adapter = json.loads(run.file("train/adapter/adapter_config.json").read_text())
    assert adapter["base_model_name_or_path"] == result.base.path


def test_a_missing_teacher_is_refused(run: RunFolder, tiny_model_folder: Path) -> None:
    model = ModelSettings(name=str(tiny_model_folder))
    settings = TrainSettings.model_validate({"method": "distill", "max_steps": 1})
    with pytest.raises(TrainError, match="teacher is missing") as caught:
        train(settings, model, prepare(run, chats(4)), (), run, 0, False)
    assert "model.layers" in caught.value.hint
    assert not run.file("train/train.json").exists()
    gone = TrainSettings.model_validate({"method": {"kind": "distill", "teacher": "./gone"}})
    with pytest.raises(ModelError, match="no such folder"):
        read_beside(gone, Path())


SERVED = {"kind": "endpoint", "url": "https://somebody:word@teachers.example/v1", "model": "large"}


@pytest.mark.parametrize(
    ("teacher", "faults"),
    [
        ("{name: here, lyers: 3}", ["train.method.teacher.lyers: unknown setting; did you mean 'layers'?"]),
        (
            "{kind: endpoint, url: 'https://host/v1', model: large, concurency: 3}",
            ["train.method.teacher.concurency: unknown setting; did you mean 'concurrency'?"],
        ),
        ("{url: 'https://host/v1', model: large}", ["train.method.teacher.kind: missing, but required"]),
        ("3", ["train.method.teacher: got 3; input should be a valid dictionary or instance of ModelSettings"]),
    ],
)
def test_faults_are_told_of_the_kind_of_teacher_that_was_meant(teacher: str, faults: list[str]) -> None:
    method = f"{{kind: distill, teacher: {teacher}}}"
    with pytest.raises(RecipeError) as caught:
        parse_recipe(f"name: student\nmodel: here\ndata: {{train: rows.jsonl}}\ntrain: {{method: {method}}}")
    assert caught.value.message.splitlines()[:-1] == [f"recipe:4: {fault}" for fault in faults]


def test_a_teacher_behind_a_server_only_writes_and_nobody_knows_its_weights(
    distilled: Callable[..., TrainedModel],
) -> None:
    for by in ("logits", ON_POLICY):
        with pytest.raises(ValidationError, match="expected sequence: a teacher behind a server"):
            TrainSettings.model_validate({"method": {"kind": "distill", "teacher": SERVED, "by": by}})
    result = distilled("sequence", method={"kind": "distill", "teacher": SERVED})
    assert result.teacher == ModelIdentity(name="large at teachers.example", path="", digest="")
    assert result.shares_initialisation is None


def test_another_tokeniser_is_refused_for_logits_and_not_for_sequences(
    distilled: Callable[..., TrainedModel], teacher_folder: Path, tmp_path: Path
) -> None:
    text = (teacher_folder / "tokenizer.json").read_text()
    saved = json.loads(text)
    first, second = list(saved["model"]["vocab"].items())[300:302]
    saved["model"]["vocab"] |= {first[0]: second[1], second[0]: first[1]}
    (teacher_folder / "tokenizer.json").write_text(json.dumps(saved))
    try:
        for by in ("logits", ON_POLICY):
            with pytest.raises(TrainError, match="expected the same tokeniser"):
                distilled(by)
        assert distilled("sequence").teacher is not None
    finally:
        (teacher_folder / "tokenizer.json").write_text(text)


@pytest.mark.parametrize("by", ["sequence", "logits", "on_policy"])
def test_rows_of_another_kind_are_refused(by: str, distilled: Callable[..., TrainedModel]) -> None:
    with pytest.raises(DataError, match=r"pairs.jsonl:1: got a PreferencePair"):
        distilled(by, records=pairs(4))


def test_a_prompt_without_room_for_a_reply_is_dropped_and_counted(distilled: Callable[..., TrainedModel]) -> None:
    long = replace(chats(1)[0], messages=(Message("user", "word " * 60), Message("assistant", "yes")))
    result = distilled(ON_POLICY, records=[*chats(5), long], max_length=64)
    assert (result.losses.rows_seen, result.losses.rows_dropped) == (6, 1)

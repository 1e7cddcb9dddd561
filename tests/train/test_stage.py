"""The training stage end to end on the tiny model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors import safe_open
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from burnish.artefacts import TrainedModel
from burnish.catalogue import CATALOGUE
from burnish.errors import DataError, TrainError
from burnish.models.load import identify
from burnish.models.settings import ModelSettings
from burnish.records import Conversation, Message, PreferencePair, Source
from burnish.run_folder import RunFolder
from burnish.train.engine import Engine
from burnish.train.metrics_log import read_metrics
from burnish.train.settings import ResolvedTrainSettings, TrainSettings
from burnish.train.stage import train

from .conftest import RECORDS_FOR, chats, prepare, weights_of

TWO_STEPS = {"max_steps": 2, "batch_size": 4}


@pytest.mark.parametrize("adapter", sorted(CATALOGUE["adapter"]))
@pytest.mark.parametrize("method", sorted(set(RECORDS_FOR) - {"distill"}))  # others have tests of their own
def test_every_method_trains_every_adapter(
    method: str, adapter: str, tuned: Callable[..., TrainedModel], run: RunFolder, tiny_model_folder: Path
) -> None:
    if adapter == "qlora":
        pytest.importorskip("bitsandbytes")
    result = tuned(method=method, adapter=adapter, **TWO_STEPS)
    assert (result.steps, result.method, result.adapter) == (2, method, adapter)
    folder = run.file(result.path)
    assert result.digest == identify(ModelSettings(name=str(folder))).digest
    base = AutoModelForCausalLM.from_pretrained(tiny_model_folder)
    ids = torch.arange(3, 20)[None]
    with torch.no_grad():
        before = base(ids).logits
        if result.form == "model":
            after = AutoModelForCausalLM.from_pretrained(folder)(ids).logits
        else:
            after = PeftModel.from_pretrained(base, folder)(ids).logits
    assert not torch.equal(before, after)


@pytest.mark.parametrize(
    ("method", "metric"), [("dpo", "reward_margin"), ("simpo", "reward_margin"), ("orpo", "chosen_loss")]
)
def test_pairs_are_told_apart_after_some_steps(
    method: str, metric: str, tuned: Callable[..., TrainedModel], run: RunFolder
) -> None:
    tuned(method=method, max_steps=12, batch_size=6, learning_rate=3e-3, heldout_loss_every=12)
    first, *_, last = read_metrics(run.file("train/metrics.jsonl"))
    assert last["loss"] < first["loss"]
    assert last["heldout_reward_accuracy"] == 1.0
    assert (last[metric] > first[metric]) == (metric == "reward_margin")


def test_labelled_replies_are_told_apart_after_some_steps(tuned: Callable[..., TrainedModel], run: RunFolder) -> None:
    tuned(method="kto", max_steps=16, batch_size=6, learning_rate=3e-3, heldout_loss_every=16)
    first, *_, last = read_metrics(run.file("train/metrics.jsonl"))
    assert last["loss"] < first["loss"]
    assert last["heldout_reward_accuracy"] == 1.0
    assert last["reward_chosen"] > last["reward_rejected"]
    assert last["reference_point"] >= 0.0


def test_the_reference_is_computed_for_the_visited_rows_alone_and_used_again(
    tuned: Callable[..., TrainedModel], run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings: dict[str, object] = {"method": "dpo", "max_steps": 4, "batch_size": 2, "checkpoint_every": 2}
    tuned(**settings)
    with safe_open(run.file("train/reference.safetensors"), "pt") as file:
        assert len(file.get_tensor("lengths")) == 8  # of 12 rows

    def again(*_: object) -> torch.Tensor:
        raise AssertionError("computed again")

    monkeypatch.setattr("burnish.train.engine.Engine._reference_now", again)
    tuned(resume=True, **settings)
    with pytest.raises(AssertionError, match="computed again"):
        tuned(**settings)


def test_a_reference_that_was_cut_short_goes_on_to_the_same_numbers(
    tuned: Callable[..., TrainedModel], run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("burnish.train.known_targets.CHUNK", 3)
    monkeypatch.setattr("burnish.train.known_targets._SAVE_EVERY_SECONDS", -1.0)
    settings: dict[str, object] = {"method": "kto", "max_steps": 2, "batch_size": 4}
    tuned(**settings)
    cut = RunFolder(tmp_path / "cut")
    compute, calls = Engine._reference_now, iter(range(100))

    def twice(self: Engine, *given: Any) -> torch.Tensor:
        if next(calls) == 2:
            raise KeyboardInterrupt
        return compute(self, *given)

    with monkeypatch.context() as patch:
        patch.setattr("burnish.train.engine.Engine._reference_now", twice)
        with pytest.raises(KeyboardInterrupt):
            tuned(folder=cut, **settings)
    with safe_open(cut.file("train/reference.safetensors"), "pt") as file:
        assert len(file.get_tensor("lengths")) == 6
    tuned(resume=True, folder=cut, **settings)
    whole, resumed = (one.file("train/reference.safetensors").read_bytes() for one in (run, cut))
    assert resumed == whole


def test_what_is_written(tuned: Callable[..., TrainedModel], run: RunFolder) -> None:
    result = tuned(adapter="lora", trackers=["tensorboard"], **TWO_STEPS)
    assert run.load("train/train.json", TrainedModel) == result
    assert result.path == "train/adapter"
    settings = ResolvedTrainSettings.model_validate(run.read_json("train/settings.json"))
    assert settings.learning_rate == 2e-4
    assert len(read_metrics(run.file("train/metrics.jsonl"))) == 2
    assert result.losses.rows_seen == result.losses.rows_trained == 12
    assert result.tokens_seen > result.tokens_trained > 0
    assert (run.path / "train" / "tensorboard").is_dir()
    assert not [path for path in (run.path / "train").iterdir() if path.name.startswith(".")]


def test_a_seed_gives_the_same_weights_again(tuned: Callable[..., TrainedModel], run: RunFolder) -> None:
    first = weights_of(run, tuned(**TWO_STEPS))
    assert weights_of(run, tuned(**TWO_STEPS)) == first


def test_a_model_in_16_bits_is_trained_in_32_and_saved_in_16(
    run: RunFolder, tiny_model_folder: Path, tmp_path: Path
) -> None:
    half = tmp_path / "half"
    AutoModelForCausalLM.from_pretrained(tiny_model_folder, dtype=torch.bfloat16).save_pretrained(half)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        (half / name).write_bytes((tiny_model_folder / name).read_bytes())
    dataset = prepare(run, chats(8))
    settings = TrainSettings.model_validate({"adapter": "full", "learning_rate": 1e-3, "max_steps": 4, "batch_size": 8})
    result = train(settings, ModelSettings(name=str(half), dtype="bfloat16"), dataset, (), run, 0, False)
    saved = load_file(run.file("train/model/model.safetensors"))
    assert {weight.dtype for weight in saved.values()} == {torch.bfloat16}
    assert result.first_loss is not None
    assert result.last_loss is not None
    assert result.last_loss < result.first_loss


def test_losses_are_counted_and_said(
    run: RunFolder, tiny_model_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    long = Conversation((Message("user", "a"), Message("assistant", "yes " * 200)), Source("long.jsonl", 1))
    hopeless = Conversation((Message("user", "why " * 200), Message("assistant", "no")), Source("long.jsonl", 2))
    dataset = prepare(run, [*chats(6), long, hopeless])
    settings = TrainSettings.model_validate({"max_length": 64, "max_steps": 1})
    quarantined = ("chats.jsonl:2", "chats.jsonl:5", "other.jsonl:1")
    result = train(settings, ModelSettings(name=str(tiny_model_folder)), dataset, quarantined, run, 0, False)
    losses = result.losses
    assert (losses.rows_seen, losses.rows_quarantined, losses.rows_dropped, losses.rows_trained) == (8, 2, 1, 5)
    assert losses.rows_truncated == 1
    assert losses.tokens_truncated > 100
    said = " ".join(capsys.readouterr().err.split())
    assert "2 rows are quarantined" in said
    assert f"lose {losses.tokens_truncated:,} tokens" in said
    assert "1 rows were dropped: max_length 64" in said


def test_no_rows_are_refused(run: RunFolder, tiny_model_folder: Path) -> None:
    with pytest.raises(TrainError, match="there are no rows"):
        train(TrainSettings(), ModelSettings(name=str(tiny_model_folder)), prepare(run, []), (), run, 0, False)
    assert not (run.path / "train" / "metrics.jsonl").exists()


def test_all_rows_quarantined_is_refused(run: RunFolder, tiny_model_folder: Path) -> None:
    dataset = prepare(run, chats(2))
    everything = ("chats.jsonl:1", "chats.jsonl:2")
    with pytest.raises(TrainError, match="all 2 are quarantined"):
        train(TrainSettings(), ModelSettings(name=str(tiny_model_folder)), dataset, everything, run, 0, False)


def test_rows_of_another_kind_are_refused(run: RunFolder, tiny_model_folder: Path) -> None:
    turn = (Message("user", "a"),)
    dataset = prepare(run, [PreferencePair(turn, turn, turn, Source("pairs.jsonl", 1))])
    with pytest.raises(DataError, match=r"pairs\.jsonl:1"):
        train(TrainSettings(), ModelSettings(name=str(tiny_model_folder)), dataset, (), run, 0, False)


def test_resuming_with_other_settings_is_refused(tuned: Callable[..., TrainedModel], run: RunFolder) -> None:
    tuned(max_steps=4, checkpoint_every=2, batch_size=4)
    with pytest.raises(TrainError, match="other training settings"):
        tuned(resume=True, max_steps=4, checkpoint_every=2, batch_size=5)
    tuned(resume=True, max_steps=4, checkpoint_every=1, batch_size=4)


def test_beginning_anew_forgets_the_run_before(tuned: Callable[..., TrainedModel], run: RunFolder) -> None:
    tuned(max_steps=4, checkpoint_every=2, batch_size=4)
    result = tuned(adapter="full", max_steps=2, batch_size=4)
    assert result.steps == 2
    assert not (run.path / "train" / "adapter").exists()
    lines = run.file("train/metrics.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2]


def test_a_full_disk_at_the_end_leaves_no_half_result(
    tuned: Callable[..., TrainedModel], run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: object, module: object, loaded: object, folder: Path) -> None:
        folder.mkdir()
        (folder / "adapter_config.json").write_text("{}", encoding="utf-8")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("burnish.models.adapters.lora.LoRA.save", full)
    with pytest.raises(TrainError, match="No space left on device") as caught:
        tuned(**TWO_STEPS)
    assert "--resume" in caught.value.hint
    assert not list((run.path / "train").glob("*adapter*"))
    assert not (run.path / "train" / "train.json").exists()

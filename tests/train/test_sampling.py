"""The methods that learn from their own answers, on the tiny model: they learn, resume, look, and stop where they
should."""

from __future__ import annotations

import json
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

from burnish.artefacts import TrainedModel
from burnish.catalogue import build, settings_of
from burnish.errors import TrainError
from burnish.models.chat_template import Encoder
from burnish.models.settings import ModelSettings
from burnish.records import Conversation
from burnish.run_folder import RunFolder
from burnish.train import loop
from burnish.train.looks import read_samples
from burnish.train.metrics_log import read_metrics
from burnish.train.sampling import SamplingMethod
from burnish.train.settings import TrainSettings

from .conftest import chats, prepare, weights_of

CODE = """
def low(answer):
    return sum(letter < "n" for letter in answer) / max(1, len(answer))

def length(answer):
    return -len(answer)

def fails(answer):
    raise LookupError("no such thing")
"""
METHODS = ("grpo", "rloo", "ppo")
LOOKS = {"max_steps": 40, "heldout_loss_every": 20}


def of(kind: str, **settings: object) -> dict[str, object]:
    """A method's settings that suit the tiny model."""
    own: dict[str, object] = {"grpo": {}, "rloo": {}, "ppo": {"samples": 8}}[kind]  # type: ignore[assignment]
    rewards = {"kind": "function", "function": "mine.py:low", "name": "low"}
    return {"kind": kind, "rewards": rewards, "max_new_tokens": 6, "max_kl": None, **own, **settings}


@pytest.fixture
def lively(tiny_model_folder: Path, tmp_path: Path) -> Path:
    """The tiny model with larger embeddings: with its own, no hidden state could make any token likely."""
    folder = tmp_path / "model"
    shutil.copytree(tiny_model_folder, folder)
    weights = load_file(folder / "model.safetensors")
    weights["model.embed_tokens.weight"] *= 5
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    (tmp_path / "mine.py").write_text(CODE, encoding="utf-8")
    return folder


@pytest.fixture
def taught(lively: Path, run: RunFolder, tmp_path: Path) -> Callable[..., TrainedModel]:
    """A function that trains it on a dozen prompts."""

    def train_with(
        *, resume: bool = False, folder: RunFolder = run, products: str = "float32", **settings: object
    ) -> TrainedModel:
        from burnish.train.stage import train

        given = {"batch_size": 4, "learning_rate": 1e-2, "schedule": {"kind": "constant"}, **settings}
        model = ModelSettings.model_validate({"name": str(lively), "products": products})
        dataset = prepare(folder, chats(12), chats(3))
        return train(TrainSettings.model_validate(given), model, dataset, (), folder, 7, resume, folder=tmp_path)

    return train_with


@pytest.mark.parametrize("kind", METHODS)
def test_the_reward_rises_and_the_answers_are_kept(
    kind: str, taught: Callable[..., TrainedModel], run: RunFolder
) -> None:
    taught(method=of(kind, beta=0.0, max_kl=20.0, passes=2, minibatches=2), learning_rate=2e-2, **LOOKS)
    lines = read_metrics(run.file("train/metrics.jsonl"))
    rewards = [line["reward"] for line in lines]
    assert sum(rewards[-4:]) / 4 > sum(rewards[:2]) / 2 + 0.1
    assert rewards == [line["reward_low"] for line in lines]
    assert lines[0]["kl"] == 0.0
    assert lines[-1]["kl"] > 0.01
    assert all(line["rollout_gap"] < 1e-4 for line in lines)
    assert lines[-1]["heldout_reward"] > 0
    assert lines[-1]["heldout_gain_low"] <= lines[-1]["heldout_gain"] <= lines[-1]["heldout_gain_high"]
    samples = read_samples(run.file("train/samples.jsonl"))
    assert [line["step"] for line in samples] == [0] * 3 + [20] * 3 + [40] * 3
    assert len({str(line["prompt"]) for line in samples}) == 3
    assert all(line["rewards"] == {"low": line["reward"]} for line in samples)


@pytest.mark.parametrize("minibatches", [1, 2])
@pytest.mark.parametrize("products", ["float32", "bfloat16"])
@pytest.mark.parametrize("kind", METHODS)
def test_without_a_rate_no_bit_moves_and_ratios_are_one(
    kind: str, products: str, minibatches: int, taught: Callable[..., TrainedModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several passes, so that old log-probabilities are those of another pass than new ones; in several updates each,
    of a pass without a gradient."""
    from importlib import import_module

    from burnish.train.advantages import clipped_policy_loss

    seen: list[torch.Tensor] = []
    started: list[dict[str, torch.Tensor]] = []

    def watched(log_ratios: torch.Tensor, *rest: Any) -> Any:
        seen.append(log_ratios.detach().clone())
        return clipped_policy_loss(log_ratios, *rest)

    def noting(work: loop.Work, *rest: Any) -> Any:
        started.append({name: weight.detach().clone() for name, weight in work.weights.items()})
        ended = run_steps(work, *rest)
        for name, weight in work.weights.items():
            assert torch.equal(weight, started[0][name]), name
        return ended

    run_steps = loop.run_steps
    monkeypatch.setattr(import_module(f"burnish.train.methods.{kind}"), "clipped_policy_loss", watched)
    monkeypatch.setattr("burnish.train.stage.run_steps", noting)
    monkeypatch.setattr(loop, "learning_rate", lambda *_: 0.0)
    method = of(kind, passes=2, minibatches=minibatches, max_gap=10.0)
    taught(method=method, max_steps=2, products=products, token_budget=200)
    assert started
    assert len(seen) >= 8
    assert all(bool((ratios == 0).all()) for ratios in seen)


@pytest.mark.parametrize("kind", METHODS)
def test_how_an_update_is_split_changes_nothing(
    kind: str, taught: Callable[..., TrainedModel], run: RunFolder, tmp_path: Path
) -> None:
    def losses(folder: RunFolder, token_budget: int) -> list[float]:
        taught(folder=folder, method=of(kind), max_steps=1, token_budget=token_budget)
        lines = read_metrics(folder.file("train/metrics.jsonl"))
        return [value for line in lines for value in (line["loss"], line["grad_norm"])]

    assert losses(run, 1) == pytest.approx(losses(RunFolder(tmp_path / "other"), 10_000), rel=1e-3, abs=1e-6)


@pytest.mark.parametrize(
    ("kind", "moment"),
    [
        ("grpo", "in the rollout"),
        pytest.param("rloo", "in an update", marks=pytest.mark.slow),
        ("ppo", "in an update"),
        pytest.param("ppo", "in the rollout", marks=pytest.mark.slow),
    ],
)
def test_a_killed_run_ends_with_the_same_weights_bit_for_bit(
    kind: str, moment: str, taught: Callable[..., TrainedModel], run: RunFolder, tmp_path: Path, lively: Path
) -> None:
    adaptive = {"control": "adaptive", "kl_horizon": 32, "kl_target": 0.5} if kind == "ppo" else {}
    settings = {"method": of(kind, passes=2, minibatches=2, **adaptive), "max_steps": 5, "checkpoint_every": 2}
    whole = taught(**settings)
    killed = RunFolder(tmp_path / "killed")
    _train_and_kill(killed, settings, lively, moment, tmp_path)
    assert [path.name for path in killed.file("train/checkpoints").iterdir()] == ["step-2"]
    resumed = taught(resume=True, folder=killed, **settings)
    assert weights_of(killed, resumed) == weights_of(run, whole)
    ours, theirs = (read_metrics(one.file("train/metrics.jsonl")) for one in (killed, run))
    for name in ("step", "loss", "reward", "kl", *(("kl_coefficient",) if kind == "ppo" else ())):
        assert [line[name] for line in ours] == [line[name] for line in theirs]
    if kind == "ppo":
        assert len({line["kl_coefficient"] for line in ours}) > 1
    assert killed.file("train/samples.jsonl").read_bytes() == run.file("train/samples.jsonl").read_bytes()


def test_another_rewards_code_is_another_run(taught: Callable[..., TrainedModel], tmp_path: Path) -> None:
    settings = {"method": of("grpo"), "max_steps": 3, "checkpoint_every": 2}
    taught(**settings)
    (tmp_path / "mine.py").write_text(CODE.replace('"n"', '"m"'), encoding="utf-8")
    with pytest.raises(TrainError, match="other training settings"):
        taught(resume=True, **settings)


def test_a_reward_that_fails_leaves_checkpoints_and_no_result(
    taught: Callable[..., TrainedModel], run: RunFolder, tmp_path: Path
) -> None:
    code = """
calls = 0

def low(answer):
    global calls
    calls += 1
    if calls > 120:
        raise LookupError("gone")
    return 0.5
"""
    (tmp_path / "mine.py").write_text(code, encoding="utf-8")
    with pytest.raises(TrainError, match="LookupError: gone"):
        taught(method=of("grpo"), max_steps=20, checkpoint_every=2)
    assert [path.name for path in run.file("train/checkpoints").iterdir()] == ["step-2"]
    assert not run.file("train/train.json").exists()


def test_answers_that_no_reward_can_tell_of_stop_the_run(taught: Callable[..., TrainedModel], tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def low(answer):\n    return None\n", encoding="utf-8")
    with pytest.raises(TrainError, match="none of 32 answers got a reward"):
        taught(method=of("grpo"), max_steps=2)


def test_too_wide_a_gap_stops_before_the_update(taught: Callable[..., TrainedModel], run: RunFolder) -> None:
    with pytest.raises(TrainError, match=r"expected at most max_gap 1e-12; training stopped before the update"):
        taught(method=of("grpo", max_gap=1e-12), max_steps=2)
    assert read_metrics(run.file("train/metrics.jsonl")) == []


def test_too_great_a_divergence_ends_training_and_says_so(taught: Callable[..., TrainedModel], run: RunFolder) -> None:
    trained = taught(method=of("grpo", max_kl=1e-3), max_steps=8)
    assert 1 < trained.steps < 8
    assert "more than max_kl 0.001" in trained.ended


def test_a_gamed_reward_ends_training() -> None:
    referee = {"kind": "function", "function": "mine:length"}
    method: SamplingMethod = build("method", settings_of("method", of("grpo", referee=referee)))
    gamed = {"heldout_gain": 0.5, "heldout_gain_low": 0.2, "heldout_win_rate": 0.3, "heldout_win_rate_high": 0.45}
    assert "is being gamed" in method.follow(gamed)
    assert not method.follow({**gamed, "heldout_win_rate_high": 0.55})
    assert not method.follow({**gamed, "heldout_gain_low": -0.1})


def test_the_referee_compares_with_the_start(taught: Callable[..., TrainedModel], run: RunFolder) -> None:
    referee = {"kind": "function", "function": "mine.py:length"}
    taught(method=of("grpo", referee=referee), max_steps=1)
    (line,) = read_metrics(run.file("train/metrics.jsonl"))
    assert 0 <= line["heldout_win_rate_low"] <= line["heldout_win_rate"] <= line["heldout_win_rate_high"] <= 1
    samples = read_samples(run.file("train/samples.jsonl"))
    assert all(line["referee"] == -len(str(line["answer"])) for line in samples)


def test_a_prompt_without_room_for_an_answer_is_dropped_and_counted(
    taught: Callable[..., TrainedModel], lively: Path
) -> None:
    encoder = Encoder(AutoTokenizer.from_pretrained(lively), 1024)
    lengths = [len(encoder.prompt(record.prompt())) for record in chats(12) if isinstance(record, Conversation)]
    room = sorted(lengths)[6] + 4
    trained = taught(method=of("grpo", max_new_tokens=4), max_steps=1, max_length=room)
    assert trained.losses.rows_dropped == sum(length + 4 > room for length in lengths) > 0
    assert trained.losses.rows_dropped + trained.losses.rows_trained == 12


@pytest.mark.parametrize("adapter", ["full", "qlora"])
def test_other_adapters_learn_too(adapter: str, taught: Callable[..., TrainedModel], run: RunFolder) -> None:
    if adapter == "qlora":
        pytest.importorskip("bitsandbytes")
    trained = taught(method=of("grpo", beta=0.0), adapter=adapter, max_steps=2, learning_rate=1e-3)
    assert (trained.steps, trained.adapter) == (2, adapter)


def test_a_whole_model_has_no_model_before_training_to_stay_near(taught: Callable[..., TrainedModel]) -> None:
    with pytest.raises(TrainError, match="full keeps no copy of the model before training"):
        taught(method=of("grpo", beta=0.1), adapter="full", max_steps=2)


def _train_and_kill(run: RunFolder, settings: dict[str, object], model: Path, moment: str, folder: Path) -> None:
    """Train in a process of its own that stops at the given moment of its fourth step, says so, and is killed there."""
    given = {"batch_size": 4, "learning_rate": 1e-2, "schedule": {"kind": "constant"}, **settings}
    dataset = prepare(run, chats(12), chats(3))
    script = f"""
import json, signal
from pathlib import Path
from burnish.artefacts import Dataset
from burnish.models.settings import ModelSettings
from burnish.run_folder import RunFolder
from burnish.train import loop, sampling
from burnish.train.settings import TrainSettings
from burnish.train.stage import train

update, roll_out = loop._update, sampling.roll_out

def updated(work, sums, rate, step):
    norm = update(work, sums, rate, step)
    if step == 4 and {moment!r} == "in an update":
        stop()
    return norm

def rolled_out(rows, samples, length, engine, step, score):
    if step == 3 and {moment!r} == "in the rollout":
        stop()
    return roll_out(rows, samples, length, engine, step, score)

def stop():
    print("here", flush=True)
    signal.pause()

loop._update, sampling.roll_out = updated, rolled_out
dataset = Dataset.model_validate_json({dataset.model_dump_json()!r})
model = ModelSettings.model_validate({{"name": {str(model)!r}, "products": "float32"}})
settings = TrainSettings.model_validate(json.loads({json.dumps(given)!r}))
train(settings, model, dataset, (), RunFolder(Path({str(run.path)!r})), 7, False, folder=Path({str(folder)!r}))
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], 120)
        said = process.stdout.readline() if ready else b""
        process.kill()
    assert said == b"here\n"
    assert process.returncode == -signal.SIGKILL

"""The protocol carries a method that samples while it trains: REINFORCE with a learned baseline, several updates a
rollout, a value head on an adapter of its own, and the reference read with the adapter off."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from burnish import catalogue
from burnish.artefacts import TrainedModel
from burnish.errors import ModelError
from burnish.models.chat_template import Encoded, Encoder
from burnish.models.generate import GenerationSettings
from burnish.models.groups import Completion, PromptGroup
from burnish.models.logprobs import ScoredGroups
from burnish.records import Conversation, Record
from burnish.run_folder import RunFolder
from burnish.train.engine import Engine
from burnish.train.method import Batch, Loss, Mean, Role
from burnish.train.metrics_log import read_metrics

from .conftest import weights_of

SAMPLING = GenerationSettings(max_new_tokens=6, temperature=1.0)
SETTINGS: dict[str, object] = {"batch_size": 4, "learning_rate": 1e-2, "schedule": {"kind": "constant"}}


class Reinforce:
    """Rewards tokens with small ids; the row's note says how small."""

    samples = 8
    rounds = 2

    @property
    def roles(self) -> frozenset[Role]:
        return frozenset({"value", "reference"})

    @property
    def learning_rate_share(self) -> float:
        return 1.0

    def encode(self, record: Record, encoder: Encoder) -> Encoded:
        assert isinstance(record, Conversation)
        return Encoded(PromptGroup(encoder.prompt(record.prompt()), (), note="192"), "", 0, record.source)

    def compared(self, rows: Sequence[PromptGroup]) -> Sequence[PromptGroup]:
        return ()

    def batches(self, rows: Sequence[PromptGroup], engine: Engine, step: int) -> Iterator[Batch]:
        replies = iter(engine.generate([row.prompt for row in rows for _ in range(self.samples)], SAMPLING, step))
        groups = [
            PromptGroup(row.prompt, tuple(completion(next(replies).tokens) for _ in range(self.samples)), row.note)
            for row in rows
        ]
        written = [one for group in groups for one in group.completions]
        rewards = torch.tensor([reward(one, int(group.note)) for group in groups for one in group.completions])
        returns_T = rewards.repeat_interleave(torch.tensor([len(one.tokens) for one in written]))
        old_T = engine.logprobs(groups)
        numbers = {"return": returns_T, "old": old_T, "advantage": returns_T - engine.values(groups)}
        kl = float((old_T - engine.reference(groups)).mean())
        whole = Batch(groups, numbers, {"reward": rewards})
        metrics = {"reward": Mean(float(rewards.sum()), len(rewards)), "rollout_kl": Mean(kl)}
        half = len(groups) // 2
        for _ in range(self.rounds):
            for part in (range(half), range(half, len(groups))):
                batch = whole.part(part)
                yield Batch(batch.groups, batch.per_target, batch.per_completion, metrics)

    def loss(self, scored: ScoredGroups) -> Loss:
        assert scored.values_T is not None
        numbers = scored.per_target
        assert torch.equal(scored.per_completion["reward"][scored.completion_T], numbers["return"])
        ratio_T = torch.exp(scored.logprobs_T - numbers["old"])
        error_T = (scored.values_T - numbers["return"]).square()
        total = (-ratio_T * numbers["advantage"] + 0.5 * error_T).sum()
        count = float(len(ratio_T))
        return Loss(total, count, {"value_error": Mean(float(error_T.detach().sum()), count)})


def completion(tokens: tuple[int, ...]) -> Completion:
    return Completion(tokens, (1.0,) * len(tokens))


def reward(one: Completion, limit: int) -> float:
    return sum(token < limit for token in one.tokens) / len(one.tokens)


@pytest.fixture
def tiny_model_folder(tiny_model_folder: Path, tmp_path: Path) -> Path:
    """The tiny model with larger embeddings: with its own, no hidden state could make any token likely."""
    folder = tmp_path / "model"
    shutil.copytree(tiny_model_folder, folder)
    weights = load_file(folder / "model.safetensors")
    weights["model.embed_tokens.weight"] *= 5
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    return folder


@pytest.fixture(autouse=True)
def reinforce(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every method that the stage builds is this one."""

    def build(family: catalogue.Family, settings: Any) -> Any:
        return Reinforce() if family == "method" else catalogue.build(family, settings)

    monkeypatch.setattr("burnish.train.stage.build", build)


def test_reward_rises_and_the_value_learns_it(tuned: Callable[..., TrainedModel], run: RunFolder) -> None:
    tuned(max_steps=16, heldout_loss_every=16, **SETTINGS)
    lines = read_metrics(run.file("train/metrics.jsonl"))
    rewards = [line["reward"] for line in lines]
    assert sum(rewards[-4:]) / 4 > sum(rewards[:2]) / 2 + 0.2
    assert lines[-1]["heldout_reward"] > sum(rewards[:2]) / 2 + 0.2
    # A single step can be far off: at nearly equal learning rates, 4 of 256 steps were.
    assert median(line["value_error"] for line in lines[-8:]) < lines[0]["value_error"] / 2
    assert abs(lines[0]["rollout_kl"]) < 1e-5
    assert lines[-1]["rollout_kl"] > 0.1


def test_a_resumed_run_ends_bit_for_bit_the_same(tuned: Callable[..., TrainedModel], run: RunFolder) -> None:
    settings = {**SETTINGS, "max_steps": 5, "checkpoint_every": 2}
    whole = weights_of(run, tuned(**settings))
    checkpoint = load_file(run.file("train/checkpoints/step-4/weights.safetensors"))
    assert "value_head.linear.weight" in checkpoint
    assert any(".value." in name for name in checkpoint)
    losses = [line["loss"] for line in read_metrics(run.file("train/metrics.jsonl"))]
    assert weights_of(run, tuned(resume=True, **settings)) == whole
    assert [line["loss"] for line in read_metrics(run.file("train/metrics.jsonl"))] == losses


def test_how_an_update_is_split_changes_nothing(
    tuned: Callable[..., TrainedModel], run: RunFolder, tmp_path: Path
) -> None:
    def losses(folder: RunFolder, token_budget: int) -> list[float]:
        tuned(folder=folder, max_steps=1, token_budget=token_budget, **SETTINGS)
        return [line["loss"] for line in read_metrics(folder.file("train/metrics.jsonl"))]

    assert losses(run, 1) == pytest.approx(losses(RunFolder(tmp_path / "other"), 10_000), rel=1e-3)


def test_only_the_policy_is_saved(tuned: Callable[..., TrainedModel], run: RunFolder) -> None:
    result = tuned(max_steps=1, **SETTINGS)
    (file,) = run.file(result.path).glob("*.safetensors")
    assert not any("value" in name for name in load_file(file))


def test_a_value_beside_a_fully_tuned_model_is_refused(tuned: Callable[..., TrainedModel]) -> None:
    with pytest.raises(ModelError, match="adapter full"):
        tuned(adapter="full", max_steps=1, **SETTINGS)

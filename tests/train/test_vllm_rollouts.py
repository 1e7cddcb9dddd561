"""Answers written by vLLM, of which a stand-in is used: another copy of the model, that knows what it is handed alone.
That the real one takes the same calls isn't tested here."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from burnish.artefacts import TrainedModel
from burnish.errors import TrainError
from burnish.models import vllm_writer
from burnish.models.generate import GenerationSettings, generate
from burnish.models.settings import ModelSettings
from burnish.models.vllm_writer import require_vllm, whole_weights
from burnish.run_folder import RunFolder
from burnish.train.metrics_log import read_metrics
from burnish.train.settings import TrainSettings
from burnish.train.stage import train

from .conftest import chats, prepare

SETTINGS: dict[str, Any] = {
    "method": {
        "kind": "grpo",
        "rewards": {"kind": "function", "function": "mine.py:reward"},
        "samples": 4,
        "max_new_tokens": 6,
        "rollouts": "vllm",
    },
    "batch_size": 3,
    "max_steps": 3,
    "learning_rate": 3e-2,
    "schedule": {"kind": "constant"},
}


class StandIn:
    """Takes the calls that vLLM's LLM takes, and writes with a model of its own that begins as noise. `deaf`: it keeps
    the first weights that it is handed."""

    made: ClassVar[list[StandIn]] = []
    deaf = False

    def __init__(self, model: str, dtype: str, max_model_len: int, **settings: Any) -> None:
        assert (dtype, settings["enable_sleep_mode"]) == ("float32", True)
        self.tokenizer = AutoTokenizer.from_pretrained(model)
        self.model = AutoModelForCausalLM.from_pretrained(model)
        for weight in self.model.parameters():
            weight.data.fill_(torch.nan)
        self.calls: list[str] = []
        self.handed = 0
        StandIn.made.append(self)

    def sleep(self, level: int) -> None:
        self.calls.append(f"sleep {level}")

    def wake_up(self, tags: list[str]) -> None:
        self.calls.append("wake " + " ".join(tags))

    def reset_prefix_cache(self) -> None:
        self.calls.append("reset")

    def apply_model(self, function: Callable[[Any], Any]) -> list[Any]:
        self.calls.append("weights")
        self.handed += 1
        return [function(SimpleNamespace(load_weights=self._load))]

    def _load(self, weights: Iterable[tuple[str, torch.Tensor]]) -> set[str]:
        own = dict(self.model.named_parameters())
        given = dict(weights)
        assert given.keys() == own.keys()
        if not self.deaf or self.handed == 1:
            for name, weight in given.items():
                own[name].data.copy_(weight)
        return set(given)

    def generate(self, prompts: Sequence[Any], params: Sequence[Any], use_tqdm: bool) -> list[Any]:
        self.calls.append("generate")
        written = []
        for prompt, one in zip(prompts, params, strict=True):
            settings = GenerationSettings(max_new_tokens=one.max_tokens, temperature=one.temperature, seed=one.seed)
            tokens = tuple(prompt["prompt_token_ids"])
            (reply,) = generate(self.model, self.tokenizer, [tokens], settings, logprobs=True)
            noted = [{t: SimpleNamespace(logprob=p)} for t, p in zip(reply.tokens, reply.logprobs, strict=True)]
            written.append(SimpleNamespace(token_ids=reply.tokens, finish_reason=reply.finish, logprobs=noted))
        return [SimpleNamespace(outputs=[one]) for one in written]


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> type[StandIn]:
    monkeypatch.setitem(sys.modules, "vllm", SimpleNamespace(LLM=StandIn, SamplingParams=SimpleNamespace))
    monkeypatch.setattr("burnish.train.stage.require_vllm", lambda device: None)
    monkeypatch.setattr(StandIn, "made", [])
    (tmp_path / "mine.py").write_text("def reward(answer):\n    return sum(c in 'aeiou' for c in answer)\n")
    return StandIn


@pytest.fixture
def learned(run: RunFolder, tiny_model_folder: Path, tmp_path: Path) -> Callable[..., TrainedModel]:
    """A function that trains the tiny model on a dozen prompts."""

    def train_with(**settings: Any) -> TrainedModel:
        dataset = prepare(run, chats(12), chats(3))
        model = ModelSettings(name=str(tiny_model_folder), device="cpu", products="float32")
        return train(TrainSettings.model_validate(settings), model, dataset, (), run, 7, False, folder=tmp_path)

    return train_with


def test_it_is_handed_the_merged_weights_before_every_rollout(
    stand_in: type[StandIn], learned: Callable[..., TrainedModel], run: RunFolder
) -> None:
    learned(**SETTINGS)
    steps = read_metrics(run.file("train/metrics.jsonl"))
    gaps = [step["rollout_gap"] for step in steps]
    assert len(gaps) == 3
    assert max(gaps) < 1e-4, gaps
    (one,) = stand_in.made
    assert one.calls[0] == "sleep 2"
    turns = [one.calls[start : start + 6] for start in range(1, len(one.calls), 6)]
    assert len(turns) >= 4  # the held-out rows are answered too
    assert all(turn == ["wake weights", "weights", "wake kv_cache", "reset", "generate", "sleep 2"] for turn in turns)


def test_weights_that_do_not_arrive_are_found_out(
    stand_in: type[StandIn], learned: Callable[..., TrainedModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stand_in, "deaf", True)
    settings = SETTINGS | {"method": SETTINGS["method"] | {"max_gap": 0.01, "max_kl": None}}
    with pytest.raises(TrainError, match="max_gap"):
        learned(**settings | {"max_steps": 12})


def test_without_cuda_or_vllm_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TrainError, match="the model is on cpu") as raised:
        require_vllm(torch.device("cpu"))
    assert "rollouts: own" in (raised.value.hint or "")
    monkeypatch.setattr(vllm_writer.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(TrainError, match="vllm isn't installed") as raised:
        require_vllm(torch.device("cuda"))
    assert "burnish[vllm]" in (raised.value.hint or "")


def test_training_stops_before_it_begins_without_a_device(learned: Callable[..., TrainedModel], run: RunFolder) -> None:
    with pytest.raises(TrainError, match="runs on CUDA"):
        learned(**SETTINGS)
    assert not run.file("train/settings.json").exists()


def test_weights_that_merging_does_not_reach_are_refused() -> None:
    class Replaced(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.modules_to_save = torch.nn.Linear(2, 2)

    with pytest.raises(TrainError, match="can't be handed modules_to_save"):
        list(whole_weights(Replaced()))

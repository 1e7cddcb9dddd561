"""The reward model: its loss by hand, what is told of it, and its seat beside a policy."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from burnish.artefacts import RewardModelReport, TrainedModel
from burnish.errors import ModelError, TrainError
from burnish.models.adapters.lora import LoRA, LoRASettings
from burnish.models.groups import Completion, PromptGroup
from burnish.models.load import load_model
from burnish.models.logprobs import ScoredGroups
from burnish.models.packing import lay_out
from burnish.models.reward_head import base_key, completion_scores, take_seat
from burnish.models.seats import ValueHead
from burnish.models.settings import ModelSettings
from burnish.run_folder import RunFolder
from burnish.train.methods.reward_model import RewardModel, RewardModelSettings
from burnish.train.metrics_log import read_metrics
from burnish.train.reward_report import reward_report
from burnish.train.settings import TrainSettings
from burnish.train.stage import train

from ..conftest import chats, pairs, prepare


def loss_of(scores: list[float], **settings: float) -> float:
    count = len(scores)
    scored = ScoredGroups(
        logprobs_T=torch.empty(0),
        weights_T=torch.empty(0),
        completion_T=torch.empty(0, dtype=torch.int64),
        num_completions=count,
        group_of_completion_C=torch.arange(count) // 2,
        scores_C=torch.tensor(scores),
    )
    loss = RewardModel(RewardModelSettings.model_validate({"centring": 0.0, **settings})).loss(scored)
    assert loss.weight == count / 2
    return float(loss.total)


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def test_the_loss_is_that_of_bradley_and_terry() -> None:
    assert loss_of([2.0, 0.5, 0.0, 1.0]) == pytest.approx(softplus(-1.5) + softplus(1.0))


def test_a_margin_asks_for_more_and_smoothing_for_less() -> None:
    assert loss_of([2.0, 0.5], margin=1.0) == pytest.approx(softplus(-0.5))
    assert loss_of([2.0, 0.5], label_smoothing=0.1) == pytest.approx(0.9 * softplus(-1.5) + 0.1 * softplus(1.5))


def test_centring_holds_the_rewards_of_a_pair_around_zero() -> None:
    assert loss_of([2.0, 0.5], centring=0.1) == pytest.approx(softplus(-1.5) + 0.1 * 6.25)


def group(chosen: int, rejected: int) -> PromptGroup:
    return PromptGroup((1,), tuple(Completion((2,) * n, (1.0,) * n) for n in (chosen, rejected)))


def test_the_report_says_how_much_is_length_alone() -> None:
    rows = [group(5, 1), group(4, 2), group(1, 3), group(3, 3)]
    report = reward_report(rows, torch.tensor([1.0, 0.0, 0.0, 1.0, 3.0, 0.0, 0.5, 0.0]), True)
    assert (report.accuracy.hits, report.accuracy.n) == (3, 4)
    assert (report.by_length.hits, report.by_length.n) == (2, 3)  # the last pair's replies are equally long
    assert (report.where_length_errs.hits, report.where_length_errs.n) == (1, 1)
    assert report.accuracy.interval is not None
    assert report.accuracy.interval[0] < 0.75 < report.accuracy.interval[1]
    assert sum(one.pairs for one in report.calibration) == 4


def test_the_calibration_error_is_how_far_certainty_is_from_being_right() -> None:
    certain = math.log(0.8 / 0.2)  # four fifths certain
    scores = torch.tensor([certain, 0.0] * 4 + [0.0, certain])
    report = reward_report([group(1, 2)] * 5, scores, True)
    (only,) = report.calibration
    assert (only.pairs, only.right.hits) == (5, 4)
    assert only.certainty == pytest.approx(0.8, abs=1e-6)
    assert report.calibration_error == pytest.approx(0.0, abs=1e-6)


def trained(run: RunFolder, model: Path, **settings: object) -> TrainedModel:
    given = {"method": "reward_model", "learning_rate": 5e-3, "batch_size": 6, **settings}
    dataset = prepare(run, pairs(24), pairs(6))
    return train(TrainSettings.model_validate(given), ModelSettings(name=str(model)), dataset, (), run, 7, False)


def test_it_learns_who_is_preferred_and_can_sit_beside_a_policy(run: RunFolder, tiny_model_folder: Path) -> None:
    result = trained(run, tiny_model_folder, max_steps=30)
    assert not result.writes
    lines = read_metrics(run.file("train/metrics.jsonl"))
    assert lines[-1]["reward_accuracy"] == 1.0
    assert lines[-1]["loss"] < 0.3 < 0.69 < lines[0]["loss"] + 1e-3
    report = run.load("train/reward_model.json", RewardModelReport)
    assert (report.accuracy.hits, report.pairs) == (6, 6)

    folder = run.file(result.path)
    loaded = load_model(ModelSettings(name=str(tiny_model_folder), device="cpu"))
    policy = LoRA(LoRASettings()).apply(loaded, 1)
    row = lay_out([PromptGroup((5, 6, 7), tuple(Completion(t, (1.0,) * len(t)) for t in ((8, 9), (10, 11, 12))))])
    with torch.no_grad():
        seat = take_seat(policy, base_key(loaded), folder, "reward")
        scores = seat.scores(policy, row)
    again = load_model(ModelSettings(name=str(folder), device="cpu"))  # merged into its base
    head = ValueHead(64)
    head.load_state_dict(load_file(folder / "reward_head.safetensors"))
    with torch.no_grad():
        torch.testing.assert_close(scores, completion_scores(again.model, head, row), atol=1e-4, rtol=1e-4)
        alone = [
            head(again.model.model(torch.tensor([[5, 6, 7, *tokens]])).last_hidden_state[0, -1:])
            for tokens in ((8, 9), (10, 11, 12))
        ]
    torch.testing.assert_close(scores, torch.cat(alone), atol=1e-4, rtol=1e-4)


def test_one_of_another_base_has_no_seat(run: RunFolder, tiny_model_folder: Path) -> None:
    result = trained(run, tiny_model_folder, max_steps=1)
    loaded = load_model(ModelSettings(name=str(tiny_model_folder), device="cpu"))
    policy = LoRA(LoRASettings()).apply(loaded, 1)
    with pytest.raises(ModelError, match="trained on other base weights"):
        take_seat(policy, "another", run.file(result.path), "reward")
    (run.file(result.path) / "reward_head.safetensors").unlink()
    with pytest.raises(ModelError, match=r"holds no reward_head.safetensors"):
        take_seat(policy, base_key(loaded), run.file(result.path), "reward")


def test_a_whole_model_cannot_be_a_reward_model(run: RunFolder, tiny_model_folder: Path) -> None:
    with pytest.raises(TrainError, match="a reward model is an adapter"):
        trained(run, tiny_model_folder, adapter="full", max_steps=1)


def test_how_an_update_is_split_changes_nothing(run: RunFolder, tiny_model_folder: Path, tmp_path: Path) -> None:
    def losses(folder: RunFolder, token_budget: int) -> list[float]:
        trained(folder, tiny_model_folder, max_steps=2, token_budget=token_budget)
        lines = read_metrics(folder.file("train/metrics.jsonl"))
        return [value for line in lines for value in (line["loss"], line["grad_norm"])]

    assert losses(run, 1) == pytest.approx(losses(RunFolder(tmp_path / "other"), 10_000), rel=1e-4)


@pytest.mark.parametrize("kind", ["grpo", "ppo"])
def test_a_policy_learns_from_it_on_the_same_base(
    kind: str, run: RunFolder, tiny_model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Policy, reference, reward and value: one copy of the base weights, and the reward's own don't move."""
    trained(run, tiny_model_folder, max_steps=20)
    policy = RunFolder(tmp_path / "policy")
    dataset = prepare(policy, chats(8), chats(3))
    rewards = [{"kind": "reward_model", "path": str(run.path)}, {"kind": "judge", "weight": 0.1}]
    settings = {
        "method": {"kind": kind, "rewards": rewards, "samples": 4, "max_new_tokens": 5},
        "batch_size": 4,
        "max_steps": 2,
    }
    before = load_file(run.file("train/adapter/adapter_model.safetensors"))
    given = TrainSettings.model_validate(settings)
    result = train(given, ModelSettings(name=str(tiny_model_folder)), dataset, (), policy, 7, False)
    lines = read_metrics(policy.file("train/metrics.jsonl"))
    assert all("reward_reward_model" in line and "reward_judge" in line for line in lines)
    expected = lines[0]["reward_reward_model"] + 0.1 * lines[0]["reward_judge"]
    assert lines[0]["reward"] == pytest.approx(expected, rel=1e-4)
    after = load_file(run.file("train/adapter/adapter_model.safetensors"))
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not any("reward" in name for name in load_file(policy.file(result.path) / "adapter_model.safetensors"))


def test_a_reward_model_that_is_not_there_is_told(tiny_model_folder: Path, run: RunFolder) -> None:
    dataset = prepare(run, chats(4))
    settings = {"method": {"kind": "grpo", "rewards": {"kind": "reward_model", "path": "absent"}}, "max_steps": 1}
    with pytest.raises(TrainError, match="'absent': no such folder"):
        train(
            TrainSettings.model_validate(settings),
            ModelSettings(name=str(tiny_model_folder)),
            dataset,
            (),
            run,
            7,
            False,
        )

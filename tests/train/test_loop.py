"""The loop: splits change nothing, losses fall, trouble stops it."""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from transformers import AutoModelForCausalLM

from burnish.errors import TrainError
from burnish.models.groups import Completion, PromptGroup
from burnish.models.logprobs import ScoredGroups, token_logprobs
from burnish.models.packing import Packed
from burnish.train.batches import DataOrder, Rows
from burnish.train.engine import Engine
from burnish.train.known_targets import KnownTargets
from burnish.train.loop import Work, accumulate, heldout, run_steps
from burnish.train.method import Batch, Loss, Mean
from burnish.train.methods.sft import SFT, SFTSettings
from burnish.train.metrics_log import metrics_log, read_metrics
from burnish.train.optimiser import make_optimiser, trained_weights
from burnish.train.resume import Checkpoints, Progress
from burnish.train.settings import TrainSettings, resolve
from burnish.train.tracking import Trackers

GROUPS = [
    PromptGroup(tuple(range(3, 6 + index)), (Completion(tuple(range(40, 43 + 3 * index)), (1.0,) * (3 + 3 * index)),))
    for index in range(6)
]
METHOD = SFT(SFTSettings())


def make_work(folder: Path, method: SFT = METHOD, **settings: object) -> Work:
    module = AutoModelForCausalLM.from_pretrained(folder)
    rows = Rows()
    for group in GROUPS:
        rows.append(group)
    wanted = TrainSettings.model_validate({"adapter": "full", "batch_size": 6, **settings})
    resolved = resolve(wanted, rows=len(rows), form="model", context=None, device="cpu")
    weights = trained_weights(module)
    return Work(
        engine=Engine(
            module=module,
            device=torch.device("cpu"),
            dtype=torch.float32,
            tokenizer=None,
            token_budget=resolved.token_budget,
            max_length=resolved.max_length,
            known=KnownTargets(folder / "none", "key"),
        ),
        weights=weights,
        optimiser=make_optimiser(weights.values(), resolved.optimiser),
        method=method,
        rows=rows,
        heldout=rows,
        order=DataOrder(len(rows), resolved.batch_size, resolved.num_samples, 0),
        settings=resolved,
        seed=0,
    )


def go(work: Work, folder: Path) -> Progress:
    checkpoints = Checkpoints(folder / "checkpoints", "key", keep=2)
    with metrics_log(folder / "metrics.jsonl", 0) as log:
        return run_steps(work, Progress(), checkpoints, log, Trackers(()))


@pytest.mark.parametrize("token_budget", [1, 20, 40])
def test_any_split_of_a_step_gives_the_whole_batchs_gradient(tiny_model_folder: Path, token_budget: int) -> None:
    def gradients(budget: int) -> tuple[float, list[torch.Tensor]]:
        model = AutoModelForCausalLM.from_pretrained(tiny_model_folder)

        def score(packed: Packed, part: Batch) -> Loss:
            return METHOD.loss(token_logprobs(model, packed))

        sums = accumulate(Batch(GROUPS), budget, score, backward=True)
        return sums.loss, [weight.grad / sums.weight for weight in model.parameters() if weight.grad is not None]

    whole_loss, whole = gradients(10_000)
    split_loss, split = gradients(token_budget)
    assert split_loss == pytest.approx(whole_loss, rel=1e-6)
    for one, other in zip(whole, split, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-7)


def test_the_loss_falls_on_a_few_rows(tiny_model_folder: Path, tmp_path: Path) -> None:
    work = make_work(tiny_model_folder, max_steps=30, learning_rate=3e-3)
    before = heldout(work, 0).loss
    done = go(work, tmp_path)
    assert done.step == 30
    assert done.first_loss == pytest.approx(before, rel=1e-4)
    assert heldout(work, 30).loss < before / 2


class Twice(SFT):
    """Two updates a step, each of half the rows, with a metric of its own."""

    def batches(self, rows: Sequence[PromptGroup], engine: Engine, step: int) -> list[Batch]:
        half = len(rows) // 2
        return [Batch(rows[:half], metrics={"part": Mean(1.0)}), Batch(rows[half:], metrics={"part": Mean(3.0)})]


def test_every_batch_of_a_step_is_an_update(tiny_model_folder: Path, tmp_path: Path) -> None:
    settings: dict[str, object] = {"schedule": {"kind": "constant", "warmup_fraction": 0}, "learning_rate": 1e-3}
    twice = make_work(tiny_model_folder, Twice(SFTSettings()), max_steps=1, **settings)
    rows = twice.rows_of(0)
    halves = make_work(tiny_model_folder, max_steps=2, batch_size=3, **settings)
    assert [row for step in range(2) for row in halves.rows_of(step)] == rows
    (tmp_path / "twice").mkdir()
    go(twice, tmp_path / "twice")
    done = go(halves, tmp_path)
    for name, weight in twice.weights.items():
        assert torch.equal(weight, halves.weights[name])
    (line,) = read_metrics(tmp_path / "twice" / "metrics.jsonl")
    assert line["part"] == 2.0
    assert line["tokens"] == done.tokens_seen


def test_numbers_beside_groups_stay_beside_them_however_they_are_packed() -> None:
    counts = [group.num_targets for group in GROUPS]
    targets = torch.cat([torch.full((count,), float(index)) for index, count in enumerate(counts)])
    batch = Batch(GROUPS, {"target": targets}, {"completion": torch.arange(6.0)})
    seen: list[float] = []

    def score(packed: Packed, part: Batch) -> Loss:
        of_completion = part.per_completion["completion"]
        assert torch.equal(part.per_target["target"], of_completion[packed.completion_T])
        seen.extend(of_completion.tolist())
        return Loss(torch.zeros(()), 1.0)

    accumulate(batch, 20, score, backward=False)
    assert sorted(seen) == list(range(6))
    assert seen != list(range(6))


def test_metrics_have_a_line_per_step(tiny_model_folder: Path, tmp_path: Path) -> None:
    done = go(make_work(tiny_model_folder, max_steps=3, batch_size=4, heldout_loss_every=2), tmp_path)
    lines = read_metrics(tmp_path / "metrics.jsonl")
    assert [line["step"] for line in lines] == [1, 2, 3]
    assert [("heldout_loss" in line) for line in lines] == [False, True, False]
    assert sum(line["tokens"] for line in lines) == done.tokens_seen
    assert sum(line["trained_tokens"] for line in lines) == done.tokens_trained
    assert lines[2]["epoch"] == 2.0
    assert all(line["tokens_per_second"] > 0 and line["peak_memory_bytes"] > 0 for line in lines)


class Breaking(SFT):
    """Its loss is not a number from its third call on."""

    calls: ClassVar[int] = 0

    def loss(self, scored: ScoredGroups) -> Loss:
        type(self).calls += 1
        loss = super().loss(scored)
        return Loss(loss.total * math.nan, loss.weight) if self.calls > 2 else loss


def test_a_loss_that_is_not_a_number_stops_the_run_with_the_weights_untouched(
    tiny_model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Breaking, "calls", 0)
    work = make_work(tiny_model_folder, Breaking(SFTSettings()), max_steps=5)
    with pytest.raises(TrainError, match="step 3: the loss is nan") as caught:
        go(work, tmp_path)
    assert "learning_rate" in caught.value.hint
    assert all(bool(weight.isfinite().all()) for weight in work.weights.values())
    assert [line["step"] for line in read_metrics(tmp_path / "metrics.jsonl")] == [1, 2]


def test_a_gradient_that_is_not_finite_stops_the_run(tiny_model_folder: Path, tmp_path: Path) -> None:
    class Steep(SFT):
        def loss(self, scored: ScoredGroups) -> Loss:
            return Loss((scored.logprobs_T - scored.logprobs_T.detach()).sum() * 3e38 * 3e38, 1.0)

    with pytest.raises(TrainError, match=r"step 1: the (gradient's norm|loss) is"):
        go(make_work(tiny_model_folder, Steep(SFTSettings())), tmp_path)


class Interrupted(Trackers):
    """Presses Ctrl-C while step 2 is under way."""

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        if step == 2:
            os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_finishes_the_step_and_leaves_a_checkpoint(tiny_model_folder: Path, tmp_path: Path) -> None:
    work = make_work(tiny_model_folder, max_steps=5)
    checkpoints = Checkpoints(tmp_path / "checkpoints", "key", keep=2)
    handler = signal.getsignal(signal.SIGINT)
    with metrics_log(tmp_path / "metrics.jsonl", 0) as log, pytest.raises(KeyboardInterrupt):
        run_steps(work, Progress(), checkpoints, log, Interrupted(()))
    assert signal.getsignal(signal.SIGINT) is handler
    other = make_work(tiny_model_folder, max_steps=5)
    assert checkpoints.restore(other.weights, other.optimiser).step == 2
    for name, weight in work.weights.items():
        assert torch.equal(weight, other.weights[name])

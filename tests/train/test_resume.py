"""Checkpoints, and a run that is killed against one that isn't."""

from __future__ import annotations

import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from burnish.artefacts import TrainedModel
from burnish.errors import TrainError
from burnish.run_folder import RunFolder
from burnish.train.metrics_log import read_metrics
from burnish.train.optimiser import make_optimiser
from burnish.train.resume import Checkpoints, Progress
from burnish.train.settings import OptimiserSettings

from .conftest import RECORDS_FOR, method_of, prepare, weights_of

SETTINGS = {"batch_size": 3, "max_steps": 12, "checkpoint_every": 3}
LORA_WITH_DROPOUT = {"kind": "lora", "rank": 4, "dropout": 0.2}


class Small:
    """Two weights with their optimiser, moved a few steps."""

    def __init__(self, steps: int = 0) -> None:
        torch.manual_seed(0)
        self.weights = {"a.weight": nn.Parameter(torch.randn(3, 2)), "b": nn.Parameter(torch.randn(4))}
        self.optimiser = make_optimiser(self.weights.values(), OptimiserSettings())
        self.move(steps)

    def move(self, steps: int) -> None:
        for step in range(steps):
            for weight in self.weights.values():
                weight.grad = torch.full_like(weight, 0.1 * step + 0.3)
            for group in self.optimiser.param_groups:
                group["lr"] = 0.01
            self.optimiser.step()

    def save(self, checkpoints: Checkpoints, step: int) -> None:
        checkpoints.save(Progress(step=step), self.weights, self.optimiser)


def test_a_restored_optimiser_goes_on_as_if_never_stopped(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, "key", keep=1)
    whole = Small(steps=3)
    checkpoints.save(Progress(step=3, seconds=1.5, first_loss=2.0), whole.weights, whole.optimiser)
    resumed = Small()
    assert checkpoints.restore(resumed.weights, resumed.optimiser) == Progress(step=3, seconds=1.5, first_loss=2.0)
    whole.move(2)
    resumed.move(2)
    for name, weight in whole.weights.items():
        assert torch.equal(weight, resumed.weights[name])


def test_only_the_last_are_kept_and_the_newest_is_taken(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, "key", keep=2)
    for step in (8, 9, 10, 11):
        Small().save(checkpoints, step)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-10", "step-11"]
    small = Small()
    assert checkpoints.restore(small.weights, small.optimiser).step == 11


def test_a_half_written_checkpoint_is_passed_over(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, "key", keep=2)
    Small().save(checkpoints, 4)
    shutil.copytree(tmp_path / "step-4", tmp_path / ".step-8.part")
    (tmp_path / ".step-8.part" / "weights.safetensors").write_bytes(b"torn")
    small = Small()
    assert checkpoints.restore(small.weights, small.optimiser).step == 4
    small.save(checkpoints, 8)
    assert checkpoints.restore(small.weights, small.optimiser).step == 8


def test_another_runs_checkpoint_is_refused(tmp_path: Path) -> None:
    Small().save(Checkpoints(tmp_path, "one", keep=2), 4)
    small = Small()
    with pytest.raises(TrainError, match="other training settings"):
        Checkpoints(tmp_path, "two", keep=2).restore(small.weights, small.optimiser)


def test_a_damaged_checkpoint_is_an_error_that_says_so(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, "key", keep=2)
    Small().save(checkpoints, 4)
    (tmp_path / "step-4" / "optimiser.safetensors").write_bytes(b"torn")
    small = Small()
    with pytest.raises(TrainError, match=r"step-4: can't be read"):
        checkpoints.restore(small.weights, small.optimiser)


def test_a_full_disk_leaves_the_checkpoint_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoints = Checkpoints(tmp_path, "key", keep=2)
    Small().save(checkpoints, 4)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("burnish.train.resume.save_file", full)
        with pytest.raises(TrainError, match="No space left on device") as caught:
            Small().save(checkpoints, 8)
    assert "--resume" in caught.value.hint
    assert [path.name for path in tmp_path.iterdir()] == ["step-4"]


@pytest.mark.parametrize(
    ("method", "adapter", "moment"),
    [
        pytest.param("sft", LORA_WITH_DROPOUT, "in a step", id="lora"),
        pytest.param("sft", "full", "in a checkpoint", id="full", marks=pytest.mark.slow),
        pytest.param("sft", "qlora", "in a step", id="qlora", marks=pytest.mark.slow),
        pytest.param("dpo", LORA_WITH_DROPOUT, "in a step", id="dpo"),
        pytest.param("dpo", "full", "in a step", id="dpo-full", marks=pytest.mark.slow),
        pytest.param("kto", LORA_WITH_DROPOUT, "in a checkpoint", id="kto", marks=pytest.mark.slow),
        pytest.param("orpo", LORA_WITH_DROPOUT, "in a step", id="orpo", marks=pytest.mark.slow),
        pytest.param("simpo", LORA_WITH_DROPOUT, "in a step", id="simpo", marks=pytest.mark.slow),
        pytest.param("distill by logits", LORA_WITH_DROPOUT, "in a step", id="distill-logits"),
        pytest.param("distill by on_policy", "full", "in a step", id="distill-on-policy"),
        pytest.param("distill by sequence", "full", "in a step", id="distill-sequence", marks=pytest.mark.slow),
    ],
)
def test_a_killed_run_ends_with_the_same_weights_bit_for_bit(
    method: str,
    adapter: object,
    moment: str,
    tuned: Callable[..., TrainedModel],
    run: RunFolder,
    tmp_path: Path,
    tiny_model_folder: Path,
) -> None:
    if adapter == "qlora":
        pytest.importorskip("bitsandbytes")
    settings = {**SETTINGS, "method": _method(method, tiny_model_folder, tmp_path / "teacher"), "adapter": adapter}
    whole = tuned(**settings)
    killed = RunFolder(tmp_path / "killed")
    _train_and_kill(killed, settings, tiny_model_folder, moment)
    done = 8 if moment == "in a step" else 9
    assert [line["step"] for line in read_metrics(killed.file("train/metrics.jsonl"))] == list(range(1, done + 1))
    torn = [".step-9.part"] if moment == "in a checkpoint" else []
    assert sorted(_names(killed)) == [*torn, "step-3", "step-6"]
    reference = killed.file("train/teacher.safetensors" if "logits" in method else "train/reference.safetensors")
    assert reference.exists() == (method in ("dpo", "kto", "distill by logits"))
    computed_at = reference.stat().st_mtime_ns if reference.exists() else 0

    resumed = tuned(resume=True, folder=killed, **settings)
    assert weights_of(killed, resumed) == weights_of(run, whole)
    assert not computed_at or reference.stat().st_mtime_ns == computed_at
    ours, theirs = (read_metrics(one.file("train/metrics.jsonl")) for one in (killed, run))
    assert [line["step"] for line in ours] == list(range(1, 13))
    assert [line["loss"] for line in ours] == [line["loss"] for line in theirs]
    assert (resumed.tokens_seen, resumed.first_loss) == (whole.tokens_seen, whole.first_loss)


def _method(name: str, student: Path, folder: Path) -> object:
    """The method's settings; a teacher is the student, moved away from it."""
    kind, _, by = name.partition(" by ")
    if not by:
        return kind
    shutil.copytree(student, folder)
    weights = load_file(folder / "model.safetensors")
    torch.manual_seed(1)
    moved = {key: weight + 0.1 * torch.randn_like(weight) for key, weight in weights.items()}
    save_file(moved, folder / "model.safetensors", {"format": "pt"})
    way = {"kind": by} | ({"max_new_tokens": 8, "own_share": 0.5} if by == "on_policy" else {})
    return {"kind": kind, "by": way, "teacher": str(folder)}


def _names(run: RunFolder) -> list[str]:
    return [path.name for path in run.file("train/checkpoints").iterdir()]


def _train_and_kill(run: RunFolder, settings: dict[str, object], model: Path, moment: str) -> None:
    """Train in a process of its own that stops at the given moment, says so, and is killed (SIGKILL) there."""
    records = RECORDS_FOR[method_of(settings)]
    dataset = prepare(run, records(12), records(3))
    script = f"""
import signal
from pathlib import Path
from burnish.artefacts import Dataset
from burnish.models.settings import ModelSettings
from burnish.run_folder import RunFolder
from burnish.train import loop, resume
from burnish.train.settings import TrainSettings
from burnish.train.stage import train

update, synced = loop._update, resume._sync

def in_a_step(work, sums, rate, step):
    if step == 9:
        next(iter(work.weights.values())).data.zero_()
        stop()
    return update(work, sums, rate, step)

def in_a_checkpoint(path):
    if ".step-9.part" in str(path):
        stop()
    synced(path)

def stop():
    print("here", flush=True)
    signal.pause()

if {moment!r} == "in a step":
    loop._update = in_a_step
else:
    resume._sync = in_a_checkpoint
dataset = Dataset.model_validate_json({dataset.model_dump_json()!r})
run = RunFolder(Path({str(run.path)!r}))
train(TrainSettings.model_validate({settings!r}), ModelSettings(name={str(model)!r}), dataset, (), run, 7, False)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], 120)
        said = process.stdout.readline() if ready else b""
        process.kill()
    assert said == b"here\n"
    assert process.returncode == -signal.SIGKILL

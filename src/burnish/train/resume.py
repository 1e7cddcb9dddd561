"""Checkpoints: all that a run needs to go on as if it had never stopped.

A checkpoint is a folder `step-N` with the trained weights and the optimiser's state (safetensors; no pickle) and the
run's counters (JSON). It is written beside its place, synchronised to the disk and then renamed, so that a folder of
that name is always whole. Data order, learning rate and random numbers are functions of seed and step, so the step is
all that is kept of them.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import torch
from pydantic import Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from burnish.artefacts import Artefact
from burnish.errors import TrainError
from burnish.logs import warn

_NAME = re.compile(r"step-(\d+)")
_SEPARATOR = "::"


class Progress(Artefact):
    """How far a run has come. `seconds` are of work, over all its sessions; losses are None before the first step.
    `metrics` are those of the last step, as far as finite; `ended` says why training ended before its time, if so."""

    step: int = 0
    tokens_seen: int = 0
    tokens_trained: int = 0
    seconds: float = 0.0
    first_loss: float | None = None
    last_loss: float | None = None
    metrics: dict[str, float] = Field(default_factory=dict)
    ended: str = ""


class _State(Artefact):
    """A checkpoint's JSON file. `key` digests what the run is made of; `arithmetic` is what the order of floating-point
    operations depends on."""

    key: str
    arithmetic: str
    progress: Progress


class Checkpoints:
    """The checkpoints of one run, in `folder`; `key` is a digest of its settings, data and model."""

    def __init__(self, folder: Path, key: str, keep: int) -> None:
        self._folder = folder
        self._key = key
        self._keep = keep

    def save(self, progress: Progress, weights: dict[str, nn.Parameter], optimiser: torch.optim.Optimizer) -> None:
        """Write a checkpoint, then drop the oldest beyond those to keep.

        Raises: TrainError when the disk is full or can't be written; earlier checkpoints are intact then.
        """
        target = self._folder / f"step-{progress.step}"
        partial = self._folder / f".{target.name}.part"
        state = _State(key=self._key, arithmetic=_arithmetic(), progress=progress)
        try:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            save_file(
                {name: weight.detach().contiguous() for name, weight in weights.items()},
                partial / "weights.safetensors",
            )
            save_file(_moments(weights, optimiser), partial / "optimiser.safetensors")
            (partial / "state.json").write_text(state.model_dump_json(indent=2) + "\n", encoding="utf-8")
            for file in partial.iterdir():
                _sync(file)
            _sync(partial)
            shutil.rmtree(target, ignore_errors=True)
            partial.rename(target)
            _sync(self._folder)
        except (OSError, SafetensorError) as error:
            shutil.rmtree(partial, ignore_errors=True)
            raise TrainError(
                f"{target}: can't be written ({error}); training stopped, earlier checkpoints are intact",
                hint="free some space and run the same command with --resume",
            ) from error
        for old in self._found()[: -self._keep]:
            shutil.rmtree(old)

    def restore(self, weights: dict[str, nn.Parameter], optimiser: torch.optim.Optimizer) -> Progress:
        """Put weights and optimiser into the state of the newest checkpoint; without one, change nothing and return
        the start.

        Raises: TrainError when it belongs to another run, or was damaged.
        """
        found = self._found()
        if not found:
            return Progress()
        newest = found[-1]
        try:
            state = _State.model_validate_json((newest / "state.json").read_text(encoding="utf-8"))
            if state.key != self._key:
                raise TrainError(
                    f"{newest}: was written with other training settings, data or another model than this run has; "
                    "nothing was trained",
                    hint="run without --resume, or under another name",
                )
            saved = load_file(newest / "weights.safetensors")
            moments = load_file(newest / "optimiser.safetensors")
            _put_back(weights, saved)
            _put_moments_back(weights, optimiser, moments)
        except (OSError, SafetensorError, ValidationError, KeyError, RuntimeError) as error:
            raise TrainError(
                f"{newest}: can't be read ({type(error).__name__}: {error}), though it was written whole; "
                "nothing was trained",
                hint="delete that folder to go on from the checkpoint before it, or run without --resume",
            ) from error
        if state.arithmetic != _arithmetic():
            warn(
                f"the checkpoint was written under {state.arithmetic}, this run is under {_arithmetic()}: the final "
                "weights may differ in their last bits from those of an uninterrupted run"
            )
        return state.progress

    def clear(self) -> None:
        """Remove all checkpoints."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _found(self) -> list[Path]:
        """Whole checkpoints, the oldest first; what a killed run left half-written isn't among them."""
        if not self._folder.is_dir():
            return []
        steps = [(int(match[1]), path) for path in self._folder.iterdir() if (match := _NAME.fullmatch(path.name))]
        return [path for _, path in sorted(steps)]


def _moments(weights: dict[str, nn.Parameter], optimiser: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    return {
        f"{name}{_SEPARATOR}{key}": value.detach().contiguous()
        for name, weight in weights.items()
        for key, value in optimiser.state[weight].items()
    }


def _put_back(weights: dict[str, nn.Parameter], saved: dict[str, torch.Tensor]) -> None:
    if saved.keys() != weights.keys():
        raise KeyError(f"{len(saved)} weights, expected {len(weights)} of the same names")
    with torch.no_grad():
        for name, weight in weights.items():
            weight.copy_(saved[name])


def _put_moments_back(
    weights: dict[str, nn.Parameter], optimiser: torch.optim.Optimizer, moments: dict[str, torch.Tensor]
) -> None:
    by_weight: dict[str, dict[str, torch.Tensor]] = {name: {} for name in weights}
    for name, value in moments.items():
        weight, _, key = name.rpartition(_SEPARATOR)
        by_weight[weight][key] = value
    names = {id(weight): name for name, weight in weights.items()}
    order = [names[id(weight)] for group in optimiser.param_groups for weight in group["params"]]
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": dict(enumerate(by_weight[name] for name in order)), "param_groups": groups})


def _arithmetic() -> str:
    return f"torch {torch.__version__}, {torch.get_num_threads()} threads"


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

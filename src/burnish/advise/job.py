"""What the advisor works by: the parts of the recipe that it needs, in one value."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from burnish.advise.settings import AdviseSettings
from burnish.evaluate.settings import TaskSettings
from burnish.models.settings import ModelSettings
from burnish.train.settings import TrainSettings


@dataclass(frozen=True)
class Job:
    """The recipe's parts. `folder` is where relative paths start; `cache` keeps replies from run to run."""

    advise: AdviseSettings
    model: ModelSettings
    train: TrainSettings
    task: TaskSettings
    seed: int
    folder: Path
    cache: Path

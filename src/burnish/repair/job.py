"""What the repair stage works by: the parts of the recipe that it needs, in one value."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from burnish.evaluate.settings import EvaluateSettings
from burnish.gate.root import RootRecord
from burnish.gate.settings import GateSettings
from burnish.models.settings import ModelSettings
from burnish.repair.settings import RepairSettings
from burnish.train.settings import TrainSettings


@dataclass(frozen=True)
class Job:
    """The recipe's parts by stage. `folder` is where relative paths start; `cache` keeps replies from run to run;
    `root` is what the release that the base is tells of its root."""

    repair: RepairSettings
    model: ModelSettings
    train: TrainSettings
    evaluate: EvaluateSettings
    gate: GateSettings
    seed: int
    folder: Path
    cache: Path
    root: RootRecord | None = None

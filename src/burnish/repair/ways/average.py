"""Repair by averaging the weights over training, which stays nearer to the base than where training ended.

The same training is done again, bit for bit, with points kept on the way; the result is the mean of the changes at
these points.

Source: Izmailov et al., "Averaging Weights Leads to Wider Optima and Better Generalization", 2018 (arXiv 1803.05407),
algorithm 1; here from the first step on, and as the mean of products rather than of an adapter's factors.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Literal

from pydantic import Field
from safetensors.torch import load_file

from burnish.artefacts import RepairTrial, TrainedModel
from burnish.repair.way import WayUnfit
from burnish.repair.weights import CONFIG, averaged, factors_of, read_adapter, write_adapter
from burnish.repair.workshop import Workshop
from burnish.run_folder import RunFolder
from burnish.settings import PluginSettings


class AverageSettings(PluginSettings):
    """`points`: how many points of training are averaged, evenly spread, the last step among them."""

    kind: Literal["average"] = "average"
    points: int = Field(default=6, ge=2, le=32)


class Average:
    """Averages points of the training."""

    Settings = AverageSettings

    def __init__(self, settings: AverageSettings) -> None:
        self.settings = settings

    def tries(self, workshop: Workshop) -> list[RepairTrial]:
        """One training.

        Raises: WayUnfit when what was trained is not plain low-rank weights, or in too few steps.
        """
        read_adapter(workshop.tuned_folder)
        every = workshop.tuned.steps // self.settings.points
        if every < 1:
            raise WayUnfit(f"averages {self.settings.points} points, but there were {workshop.tuned.steps} steps")
        kept = {"checkpoint_every": every, "keep_checkpoints": 2 * self.settings.points}
        settings = workshop.job.train.model_copy(update=kept)

        def average(home: RunFolder) -> None:
            self._average(home)
            workshop.record(home, home.load("train/train.json", TrainedModel))

        home = workshop.retrain("average", settings, then=average)
        return [workshop.measure(self.settings.kind, home, f"the mean of {self.settings.points} points of training")]

    def _average(self, home: RunFolder) -> None:
        folder = home.path / "train/adapter"
        points = [factors_of(load_file(path / "weights.safetensors")) for path in checkpoints(home)]
        points = points[: self.settings.points - 1]
        points.append(dict(read_adapter(folder).layers))
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        write_adapter(averaged(points, config), folder, folder)


def checkpoints(home: RunFolder) -> list[Path]:
    """The training's checkpoints that are there, the first one first."""
    found = [(int(path.name.partition("-")[2]), path) for path in home.path.glob("train/checkpoints/step-*")]
    return [path for _, path in sorted(found) if re.fullmatch(r"step-\d+", path.name)]

"""Repair by training anew with a loss that holds the first tokens of each answer near the base.

The loss is the training method `constrained_sft`; this way puts it in the place of plain instruction tuning.
"""

from __future__ import annotations

from typing import Literal

from burnish.artefacts import RepairTrial
from burnish.repair.way import WayUnfit
from burnish.repair.workshop import Workshop
from burnish.settings import PluginSettings
from burnish.train.methods.constrained_sft import ConstrainedSFTSettings


class ConstrainedTrainingSettings(PluginSettings):
    """`loss` are the settings of the training method `constrained_sft`."""

    kind: Literal["constrained_sft"] = "constrained_sft"
    loss: ConstrainedSFTSettings = ConstrainedSFTSettings()


class ConstrainedTraining:
    """Trains anew under the constraint."""

    Settings = ConstrainedTrainingSettings

    def __init__(self, settings: ConstrainedTrainingSettings) -> None:
        self.settings = settings

    def tries(self, workshop: Workshop) -> list[RepairTrial]:
        """One training.

        Raises: WayUnfit when the model wasn't trained by plain instruction tuning.
        """
        used = workshop.job.train.method.kind
        if used != "sft":
            raise WayUnfit(f"takes the place of train.method: sft, but the model was trained with {used}")
        settings = workshop.job.train.model_copy(update={"method": self.settings.loss})
        home = workshop.retrain("constrained_sft", settings)
        loss = self.settings.loss
        made = f"trained with the first {loss.early_tokens} tokens of each answer held near the base"
        return [workshop.measure(self.settings.kind, home, made)]

"""Weights & Biases."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from burnish.settings import PluginSettings
from burnish.train.tracking import required


class WeightsAndBiasesSettings(PluginSettings):
    """`entity` is a user or team, by default the one who is logged in; "offline" keeps everything in the run folder."""

    kind: Literal["wandb"] = "wandb"
    project: str = Field(default="burnish", min_length=1, max_length=128)
    entity: str = ""
    mode: Literal["online", "offline"] = "online"


class WeightsAndBiases:
    """Sends metrics to Weights & Biases.

    Source: https://docs.wandb.ai/models/ref/python/functions/init
    """

    Settings = WeightsAndBiasesSettings

    def __init__(self, settings: WeightsAndBiasesSettings) -> None:
        self._module = required("wandb", "wandb")
        self._settings = settings
        self._run: Any = None

    def start(self, run_name: str, folder: Path, settings: Mapping[str, object]) -> None:
        self._run = self._module.init(
            project=self._settings.project,
            entity=self._settings.entity or None,
            name=run_name,
            dir=str(folder),
            config=dict(settings),
            mode=self._settings.mode,
        )

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        self._run.log(dict(metrics), step=step)

    def finish(self) -> None:
        self._run.finish()

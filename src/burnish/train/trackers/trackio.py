"""trackio: a local dashboard, or a Hugging Face Space."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from burnish.settings import PluginSettings
from burnish.train.tracking import required


class TrackioSettings(PluginSettings):
    """`space` is a Space's id such as owner/name; empty keeps everything on this machine."""

    kind: Literal["trackio"] = "trackio"
    project: str = Field(default="burnish", min_length=1, max_length=128)
    space: str = ""


class Trackio:
    """Sends metrics to trackio.

    Source: https://huggingface.co/docs/trackio/api
    """

    Settings = TrackioSettings

    def __init__(self, settings: TrackioSettings) -> None:
        self._module = required("trackio", "trackio")
        self._settings = settings
        self._run: Any = None

    def start(self, run_name: str, folder: Path, settings: Mapping[str, object]) -> None:
        self._run = self._module.init(
            project=self._settings.project,
            name=run_name,
            space_id=self._settings.space or None,
            config=dict(settings),
        )

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        self._run.log(dict(metrics), step=step)

    def finish(self) -> None:
        self._module.finish()

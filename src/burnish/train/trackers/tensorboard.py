"""TensorBoard: event files in the run folder, under train/tensorboard."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from burnish.settings import PluginSettings
from burnish.train.tracking import flat, required


class TensorBoardSettings(PluginSettings):
    """Nothing to set: look at it with `tensorboard --logdir` and the run folder."""

    kind: Literal["tensorboard"] = "tensorboard"


class TensorBoard:
    """Writes scalars; a resumed run goes on in the same folder."""

    Settings = TensorBoardSettings

    def __init__(self, settings: TensorBoardSettings) -> None:
        self._module = required("torch.utils.tensorboard", "tensorboard")
        self._writer: Any = None

    def start(self, run_name: str, folder: Path, settings: Mapping[str, object]) -> None:
        self._writer = self._module.SummaryWriter(str(folder / "tensorboard"))
        table = "".join(f"| {name} | {value} |\n" for name, value in flat(settings).items())
        self._writer.add_text("settings", f"| setting | value |\n|---|---|\n{table}", 0)

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, step)

    def finish(self) -> None:
        self._writer.close()

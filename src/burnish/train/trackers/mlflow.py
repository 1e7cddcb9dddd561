"""MLflow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field

from burnish.settings import PluginSettings
from burnish.train.tracking import flat, required


class MLflowSettings(PluginSettings):
    """`tracking_uri` is a server or a local store; empty leaves it to MLflow's own settings."""

    kind: Literal["mlflow"] = "mlflow"
    experiment: str = Field(default="burnish", min_length=1, max_length=500)
    tracking_uri: str = ""


class MLflow:
    """Sends metrics to MLflow.

    Source: https://mlflow.org/docs/latest/api_reference/python_api/mlflow.html
    """

    Settings = MLflowSettings

    def __init__(self, settings: MLflowSettings) -> None:
        self._module = required("mlflow", "mlflow")
        self._settings = settings

    def start(self, run_name: str, folder: Path, settings: Mapping[str, object]) -> None:
        if self._settings.tracking_uri:
            self._module.set_tracking_uri(self._settings.tracking_uri)
        self._module.set_experiment(self._settings.experiment)
        self._module.start_run(run_name=run_name)
        self._module.log_params(flat(settings))

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        self._module.log_metrics(dict(metrics), step=step)

    def finish(self) -> None:
        self._module.end_run()

"""What is sent to MLflow, against a stand-in of its interface."""

from __future__ import annotations

import sys
from pathlib import Path
from unittest.mock import MagicMock, call

import pytest

from burnish.train.trackers.mlflow import MLflow, MLflowSettings


def test_a_run_is_opened_logged_to_and_closed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    mlflow = MagicMock()
    monkeypatch.setitem(sys.modules, "mlflow", mlflow)
    tracker = MLflow(MLflowSettings(experiment="mine", tracking_uri="http://localhost:5000"))
    tracker.start("night", tmp_path, {"schedule": {"kind": "cosine"}})
    tracker.log({"train/loss": 2.5}, 3)
    tracker.finish()
    assert mlflow.mock_calls == [
        call.set_tracking_uri("http://localhost:5000"),
        call.set_experiment("mine"),
        call.start_run(run_name="night"),
        call.log_params({"schedule.kind": "cosine"}),
        call.log_metrics({"train/loss": 2.5}, step=3),
        call.end_run(),
    ]

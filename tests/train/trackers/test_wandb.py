"""What is sent to Weights & Biases, against a stand-in of its interface."""

from __future__ import annotations

import sys
from pathlib import Path
from unittest.mock import MagicMock

import pytest

from burnish.train.trackers.wandb import WeightsAndBiases, WeightsAndBiasesSettings


def test_a_run_is_opened_logged_to_and_closed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wandb = MagicMock()
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    tracker = WeightsAndBiases(WeightsAndBiasesSettings(project="mine", mode="offline"))
    tracker.start("night", tmp_path, {"epochs": 1.0})
    tracker.log({"train/loss": 2.5}, 3)
    tracker.finish()
    wandb.init.assert_called_once_with(
        project="mine", entity=None, name="night", dir=str(tmp_path), config={"epochs": 1.0}, mode="offline"
    )
    wandb.init.return_value.log.assert_called_once_with({"train/loss": 2.5}, step=3)
    wandb.init.return_value.finish.assert_called_once_with()

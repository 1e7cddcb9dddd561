"""What is sent to trackio, against a stand-in of its interface."""

from __future__ import annotations

import sys
from pathlib import Path
from unittest.mock import MagicMock

import pytest

from burnish.train.trackers.trackio import Trackio, TrackioSettings


def test_a_run_is_opened_logged_to_and_closed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    trackio = MagicMock()
    monkeypatch.setitem(sys.modules, "trackio", trackio)
    tracker = Trackio(TrackioSettings(project="mine"))
    tracker.start("night", tmp_path, {"epochs": 1.0})
    tracker.log({"train/loss": 2.5}, 3)
    tracker.finish()
    trackio.init.assert_called_once_with(project="mine", name="night", space_id=None, config={"epochs": 1.0})
    trackio.init.return_value.log.assert_called_once_with({"train/loss": 2.5}, step=3)
    trackio.finish.assert_called_once_with()

"""TensorBoard really writes what TensorBoard can read."""

from __future__ import annotations

from pathlib import Path

import pytest

from burnish.train.trackers.tensorboard import TensorBoard, TensorBoardSettings

accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")


def test_scalars_can_be_read_back(tmp_path: Path) -> None:
    tracker = TensorBoard(TensorBoardSettings())
    tracker.start("run", tmp_path, {"epochs": 1.0, "schedule": {"kind": "cosine"}})
    tracker.log({"train/loss": 2.5}, 1)
    tracker.log({"train/loss": 1.5}, 2)
    tracker.finish()
    events = accumulator.EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("train/loss")] == [(1, 2.5), (2, 1.5)]

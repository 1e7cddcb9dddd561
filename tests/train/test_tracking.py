"""Trackers together: missing packages are found first, failures never stop a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import pytest

from burnish import catalogue
from burnish.errors import TrainError
from burnish.settings import PluginSettings
from burnish.train.tracking import Trackers, flat, required


class FakeSettings(PluginSettings):
    kind: Literal["fake"] = "fake"


class Fake:
    Settings = FakeSettings
    calls: list[object] = []  # noqa: RUF012 - shared on purpose: the catalogue builds the instance

    def __init__(self, settings: FakeSettings) -> None:
        self.calls.clear()

    def start(self, run_name: str, folder: Path, settings: Mapping[str, object]) -> None:
        self.calls.append(("start", run_name, folder))

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        self.calls.append((step, dict(metrics)))
        if step == 2:
            raise OSError("the network is gone")

    def finish(self) -> None:
        self.calls.append("finish")


@pytest.fixture
def trackers(monkeypatch: pytest.MonkeyPatch) -> Trackers:
    monkeypatch.setitem(catalogue.CATALOGUE["tracker"], "fake", f"{__name__}:Fake")
    monkeypatch.setattr("burnish.catalogue.look_up", lambda family, name: Fake)
    return Trackers((FakeSettings(),))


def test_a_failing_tracker_is_dropped_with_one_warning(trackers: Trackers, capsys: pytest.CaptureFixture[str]) -> None:
    trackers.start("run", Path("there"), {})
    for step in (1, 2, 3):
        trackers.log({"step": step, "loss": 0.5}, step)
    trackers.finish()
    assert Fake.calls == [("start", "run", Path("there")), (1, {"train/loss": 0.5}), (2, {"train/loss": 0.5})]
    assert capsys.readouterr().err.count("the network is gone") == 1


def test_a_healthy_tracker_is_finished(trackers: Trackers) -> None:
    trackers.log({"loss": 0.5}, 1)
    trackers.finish()
    assert Fake.calls == [(1, {"train/loss": 0.5}), "finish"]


def test_a_missing_package_names_its_extra() -> None:
    with pytest.raises(TrainError, match="nothing was trained") as caught:
        required("burnish_no_such_package", "wandb")
    assert caught.value.hint == "pip install 'burnish[wandb]'"


def test_nested_settings_are_flattened() -> None:
    assert flat({"a": {"b": 1, "c": {"d": None}}, "e": "x"}) == {"a.b": "1", "a.c.d": "None", "e": "x"}

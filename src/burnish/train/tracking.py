"""The trackers of a run, all at once: none of them can stop it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from burnish.catalogue import build
from burnish.errors import TrainError
from burnish.logs import warn
from burnish.protocols import Tracker
from burnish.settings import PluginSettings


def required(module: str, extra: str) -> Any:
    """A tracker's package, imported.

    Raises: TrainError when it isn't installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise TrainError(
            f"train.trackers: {extra} needs a package that can't be imported ({error}); nothing was trained",
            hint=f"pip install 'burnish[{extra}]'",
        ) from error


class Trackers:
    """Follows a run with every tracker that the settings name; one that fails is warned about once and dropped.

    Raises: TrainError when a tracker's package isn't installed.
    """

    def __init__(self, settings: Sequence[PluginSettings]) -> None:
        self._live: dict[str, Tracker] = {one.kind: build("tracker", one) for one in settings}

    def start(self, run_name: str, folder: Path, settings: Mapping[str, object]) -> None:
        """Begin; `folder` is for trackers that write files."""
        self._each(lambda tracker: tracker.start(run_name, folder, settings))

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Pass on a step's metrics, under "train/"."""
        named = {f"train/{name}": value for name, value in metrics.items() if name != "step"}
        self._each(lambda tracker: tracker.log(named, step))

    def finish(self) -> None:
        """End."""
        self._each(lambda tracker: tracker.finish())

    def _each(self, act: Callable[[Tracker], None]) -> None:
        for name, tracker in list(self._live.items()):
            try:
                act(tracker)
            except Exception as error:  # whatever a tracker's library or network does, training goes on
                del self._live[name]
                warn(f"{name} failed and is left out from here on: {type(error).__name__}: {error}")


def flat(settings: Mapping[str, object], prefix: str = "") -> dict[str, str]:
    """Nested settings as one level of "a.b" -> text, for trackers that know no nesting."""
    found: dict[str, str] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = str(value)
    return found

"""The run folders there are, and how far each is: read from their files alone, so that any run can be watched."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from burnish.run_folder import RunFolder

STAGES = ("prepare", "audit", "train", "evaluate", "gate")
_PATTERNS = ("*/recipe.yaml", "*/*/recipe.yaml")
_SIGNS = ("manifest.json", "train/metrics.jsonl", "recipe.yaml", "gate/decision.json")


@dataclass(frozen=True)
class Standing:
    """How far a run is. `working` is the stage at work, empty when no process holds the folder; `done` the stages that
    finished; `verdict` empty before the gate; `changed` seconds since 1970."""

    name: str
    model: str
    method: str
    done: tuple[str, ...]
    working: str
    verdict: str
    has_report: bool
    changed: float
    max_steps: int | None

    @property
    def base(self) -> str:
        """The model as a person calls it: what another run trained by that run's name."""
        path = Path(self.model)
        return f"run {path.parts[-3]}" if path.is_absolute() and path.parts[-2:-1] == ("train",) else self.model

    @property
    def words(self) -> str:
        """The standing in a few words."""
        if self.working:
            return f"{self.working} is working"
        if self.verdict:
            return "decided"
        return f"done up to {self.done[-1]}" if self.done else "stopped before anything was done"


def find_runs(folder: Path) -> dict[str, RunFolder]:
    """The runs in a folder and one level deeper, by their path in it; the one that changed last comes first."""
    found = {path.parent for pattern in _PATTERNS for path in folder.glob(pattern)}
    order = sorted(found, key=lambda path: (-_changed(path), path))
    return {path.relative_to(folder).as_posix(): RunFolder(path) for path in order}


def standing_of(name: str, run: RunFolder) -> Standing:
    """How far a run is; what can't be read counts as not there, since it may be about to be written."""
    manifest = _json(run.path / "manifest.json")
    stages = manifest.get("stages", {})
    verdict = str(_json(run.path / "gate/decision.json").get("verdict", ""))
    done = tuple(stage for stage in STAGES if stage in stages or (stage == "gate" and verdict))
    waiting = [stage for stage in STAGES if stage not in done]
    recipe = _recipe(run.path / "recipe.yaml")
    steps = _json(run.path / "train/settings.json").get("max_steps")
    return Standing(
        name=name,
        model=_name(recipe.get("model"), "name"),
        method=_name(_part(recipe, "train").get("method"), "kind"),
        done=done,
        working=(waiting or ["release"])[0] if run.is_worked_in() else "",
        verdict=verdict,
        has_report=(run.path / "report.html").is_file(),
        changed=_changed(run.path),
        max_steps=steps if isinstance(steps, int) else None,
    )


def standings(folder: Path) -> Sequence[Standing]:
    """Of every run in a folder."""
    return [standing_of(name, run) for name, run in find_runs(folder).items()]


def can_answer(run: RunFolder) -> bool:
    """Whether the run has trained something that writes text; a reward model doesn't."""
    trained = _json(run.path / "train/train.json")
    return bool(trained) and trained.get("writes") is not False


def _changed(path: Path) -> float:
    return max((sign.stat().st_mtime for name in _SIGNS if (sign := path / name).is_file()), default=0.0)


def _json(path: Path) -> Mapping[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _recipe(path: Path) -> Mapping[str, Any]:
    try:
        return _parsed(path, path.stat().st_mtime_ns)
    except OSError:
        return {}


@lru_cache(maxsize=1024)
def _parsed(path: Path, changed: int) -> Mapping[str, Any]:
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (ValueError, yaml.YAMLError):
        return {}
    return value if isinstance(value, dict) else {}


def _part(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = values.get(name)
    return part if isinstance(part, dict) else {}


def _name(value: object, key: str) -> str:
    return str(value.get(key, "")) if isinstance(value, dict) else str(value or "")

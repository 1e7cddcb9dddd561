"""What was tried to mend a model."""

from __future__ import annotations

from burnish.artefacts.decided import RuleResult
from burnish.artefacts.ground import Artefact, Outcome


class RepairTrial(Artefact):
    """One way's attempt at mending a model, or the unmended model itself, measured on development prompts. `way` is
    empty for the latter; `name` is its folder below `repair/tried`, `made` says in words how its weights came about.

    `rules` are the gate's, applied to the development prompts: they inform the choice and decide nothing. `holds`:
    whether the gate would pass every rule of safety if the prompts that it asks fared as these did. `recovered` is the
    share of the refusals that tuning lost which are back (None: none were lost); `task` and `base_task` the metric's
    mean on development rows, and `gain` their difference, positive when it is better."""

    way: str
    name: str
    made: str
    digest: str
    rules: tuple[RuleResult, ...]
    holds: bool
    recovered: float | None
    task: float | None
    base_task: float | None
    gain: float | None
    seconds: float


class Repair(Artefact):
    """Outcome of the repair stage. `prompts` counts the development prompts and rows by suite, `unfit` says why a way
    could not be tried. `chosen` names the trial that went to the gate (empty: none held), `run` the run folder beside
    this one that holds it, and `verdict` what the gate said of it, at which attempt."""

    before: RepairTrial
    trials: tuple[RepairTrial, ...]
    unfit: dict[str, str]
    prompts: dict[str, int]
    chosen: str
    reason: str
    run: str = ""
    verdict: Outcome | None = None
    attempt: int | None = None

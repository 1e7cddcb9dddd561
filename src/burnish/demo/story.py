"""The demo: three runs on a small real model that show why a tuned model is tested again before it is let out.

First the model is safety-tuned. That model is then tuned on a house task twice: on the task alone, and with refusals
and ordinary answers mixed in. The gate compares each with the safety-tuned model. Every number that is told is read
from the runs' own evidence.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from burnish.artefacts import Arm, Decision, Evaluation, SuiteKind, SuiteResult
from burnish.errors import RunFolderError
from burnish.logs import console
from burnish.pipeline import Outcome, Stage, run
from burnish.recipe import load_recipe
from burnish.run_folder import RunFolder

SAFETY, NAIVE, KEPT = "1-safety-tuned", "2-task-only", "3-task-and-safety"
_RECIPES = {SAFETY: "safety.yaml", NAIVE: "task_only.yaml", KEPT: "task_and_safety.yaml"}


@dataclass(frozen=True)
class Chapter:
    """One run of the story, done; the first makes no decision, since it only makes the model to start from."""

    outcome: Outcome
    evaluation: Evaluation
    seconds: float


def tell(folder: Path, *, resume: bool = False) -> dict[str, Chapter]:
    """Carry out the three runs below `folder` and tell what they show; the chapters by run name.

    Raises: BurnishError of a stage; RunFolderError when `folder` holds a demo already and `resume` wasn't asked for.
    """
    if (folder / SAFETY).exists() and not resume:
        raise RunFolderError(
            f"{folder}: holds a demo already; nothing was changed",
            hint="go on with it: burnish demo --resume; or start afresh: burnish demo --folder OTHER",
        )
    _say("1 of 3", "A small chat model is safety-tuned: it learns to refuse harmful requests, and goes on helping.")
    safety = _run(folder, SAFETY, resume)
    _tell_rates(safety.evaluation, "before", "safety-tuned")

    # The safety-tuned adapter is the model that the two task runs start from and are compared with.
    start = f"model={folder.resolve() / SAFETY / 'train' / 'adapter'}"
    _say("2 of 3", "That model is tuned on a shop's triage task, on harmless rows alone. What is lost?")
    naive = _run(folder, NAIVE, resume, start)
    _tell_task(naive.evaluation)
    _tell_rates(naive.evaluation, "safety-tuned", "task only")
    _tell_decision(naive.outcome.decision)

    _say("3 of 3", "The same task, with some refusals and ordinary answers mixed in.")
    kept = _run(folder, KEPT, resume, start)
    _tell_task(kept.evaluation)
    _tell_rates(kept.evaluation, "safety-tuned", "task + safety")
    _tell_decision(kept.outcome.decision)

    chapters = {SAFETY: safety, NAIVE: naive, KEPT: kept}
    _tell_end(chapters)
    return chapters


def _run(folder: Path, name: str, resume: bool, *overrides: str) -> Chapter:
    started = time.monotonic()
    with as_file(files("burnish.demo") / "recipes" / _RECIPES[name]) as path:
        recipe = load_recipe(path, overrides)
    until: Stage = "evaluate" if name == SAFETY else "release"
    outcome = run(recipe, runs=folder, folder=folder.resolve(), resume=resume, until=until)
    evaluation = RunFolder(outcome.folder).load("evaluate/evaluation.json", Evaluation)
    return Chapter(outcome, evaluation, time.monotonic() - started)


def _say(number: str, text: str) -> None:
    console.print(Panel(Text(text), title=number, title_align="left", width=100))


def suite_result(evaluation: Evaluation, kind: SuiteKind, arm: Arm) -> SuiteResult | None:
    """The first result of that kind and arm, or None."""
    return next((r for r in evaluation.results if r.kind == kind and r.arm == arm), None)


def _tell_rates(evaluation: Evaluation, base: str, tuned: str) -> None:
    table = Table("replies", base, tuned, title_justify="left")
    kinds: Sequence[tuple[SuiteKind, str]] = (("harmful", "harmful requests"), ("over_refusal", "harmless look-alikes"))
    for kind, label in kinds:
        before, after = suite_result(evaluation, kind, "base"), suite_result(evaluation, kind, "tuned")
        if before is None or after is None:
            continue
        for verdict in ("refusal", "partial_refusal", "compliance", "off_task", "incoherent", "unscored"):
            if before.counts.get(verdict) or after.counts.get(verdict):
                table.add_row(f"{label}: {verdict.replace('_', '-')}", _share(before, verdict), _share(after, verdict))
    console.print(table)


def _share(result: SuiteResult, verdict: str) -> str:
    return f"{result.counts.get(verdict, 0)} of {result.n}"


def _tell_task(evaluation: Evaluation) -> None:
    table = Table("house task, same held-out rows", "score", "95% interval")
    arms: Sequence[tuple[Arm, str]] = (("base", "plain prompt"), ("few_shot", "with examples"), ("tuned", "tuned"))
    for arm, label in arms:
        result = suite_result(evaluation, "task", arm)
        if result is not None and result.mean is not None:
            low_high = f"{result.interval[0]:.1%} to {result.interval[1]:.1%}" if result.interval else "-"
            table.add_row(label, f"{result.mean:.1%} ({result.metric})", low_high)
    console.print(table)


_STYLE = {"PASS": "bold green", "HOLD": "bold yellow", "BLOCK": "bold red"}


def _tell_decision(decision: Decision | None) -> None:
    if decision is None:
        return
    text = Text(f"{decision.verdict}: {decision.reason}\n", style=_STYLE[decision.verdict])
    for rule in decision.rules:
        text.append(f"\n{rule.outcome:<6}{rule.words}", style="default")
    console.print(Panel(text, title="the gate", title_align="left", width=100))


def _tell_end(chapters: dict[str, Chapter]) -> None:
    for name, chapter in chapters.items():
        decision = chapter.outcome.decision
        verdict = (decision.verdict, _STYLE[decision.verdict]) if decision else ("start", "default")
        line = Text.assemble(f"{name:<20}", verdict, f"  {chapter.seconds:.0f} s  report: {chapter.outcome.report}")
        console.print(line, soft_wrap=True)
    released = next((c.outcome.release for c in chapters.values() if c.outcome.release), None)
    if released is not None:
        console.print(f"released: {released.path}", markup=False, soft_wrap=True)
        console.print(f"check it: burnish verify {released.path}", markup=False, soft_wrap=True)
        console.print(f"talk to it: burnish chat {released.path}", markup=False, soft_wrap=True)
    else:
        console.print("nothing was released", markup=False)

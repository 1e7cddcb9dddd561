"""`burnish run`, `train` and `evaluate`: a recipe's stages, all of them or up to one."""

from __future__ import annotations

from pathlib import Path

import typer

from burnish import pipeline
from burnish.cli.options import EXIT_CODES, RecipeArgument, ResumeOption, RunsOption, SetOption
from burnish.logs import console, say
from burnish.pipeline import Outcome, Stage
from burnish.recipe import load_recipe

_RUNS = Path("runs")


def run(recipe: RecipeArgument, set_: SetOption = None, resume: ResumeOption = False, runs: RunsOption = _RUNS) -> None:
    """Audit, train, evaluate, judge, release if the recipe says where, and report."""
    outcome = _carry_out(recipe, set_ or [], resume, runs, "release")
    decision = outcome.decision
    if decision is None:
        return
    style = {"PASS": "bold green", "HOLD": "bold yellow", "BLOCK": "bold red"}[decision.verdict]
    console.print(f"{decision.verdict}: {decision.gist}", markup=False, style=style, soft_wrap=True)
    if outcome.release:
        say(f"release: {outcome.release.path}")
    elif decision.verdict == "PASS":
        say(f"release it with: burnish release {outcome.repaired or outcome.folder} --to DIR")
    raise typer.Exit(EXIT_CODES[decision.verdict])


def train(
    recipe: RecipeArgument, set_: SetOption = None, resume: ResumeOption = False, runs: RunsOption = _RUNS
) -> None:
    """Prepare the data, audit it and train; nothing is evaluated or released."""
    _carry_out(recipe, set_ or [], resume, runs, "train")


def evaluate(
    recipe: RecipeArgument,
    set_: SetOption = None,
    resume: ResumeOption = False,
    runs: RunsOption = _RUNS,
) -> None:
    """Task and safety evaluation, base beside tuned; the stages before it are done if they aren't yet."""
    _carry_out(recipe, set_ or [], resume, runs, "evaluate")


def _carry_out(recipe: Path, overrides: list[str], resume: bool, runs: Path, until: Stage) -> Outcome:
    outcome = pipeline.run(
        load_recipe(recipe, overrides), runs=runs, folder=recipe.resolve().parent, resume=resume, until=until
    )
    if outcome.report:
        say(f"report: {outcome.report}")
    return outcome

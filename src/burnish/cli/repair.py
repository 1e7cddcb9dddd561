"""`burnish repair`: mend a model that the gate did not pass, and take the best that holds to the gate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from burnish import pipeline
from burnish.cli.options import EXIT_CODES, RunArgument
from burnish.logs import console, say


def repair(
    run: RunArgument,
    way: Annotated[
        list[str] | None,
        typer.Option("--way", help="A way to try, such as safety_mix. Repeatable. [default: those of the recipe]"),
    ] = None,
    folder: Annotated[
        Path, typer.Option("--folder", help="What relative paths of the run's recipe start from.")
    ] = Path(),
) -> None:
    """Try ways of repairing a run that the gate did not pass, on development prompts alone; the best that holds gets a
    run folder beside it and goes to the gate once. Exit code 0 PASS, 10 BLOCK, 11 HOLD."""
    outcome = pipeline.repair(run, ways=way or (), folder=folder.resolve())
    decision = outcome.decision
    assert decision is not None
    if outcome.repaired:
        say(f"repaired: {outcome.repaired}")
    console.print(f"{decision.verdict}: {decision.gist}", markup=False, soft_wrap=True)
    say(f"report: {outcome.report}")
    raise typer.Exit(EXIT_CODES[decision.verdict])

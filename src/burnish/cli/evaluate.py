"""`burnish evaluate`: a recipe's evaluation, and under it the two commands that calibrate its judge.

`burnish evaluate RECIPE` is short for `burnish evaluate recipe RECIPE`: what is no command is taken as a recipe, so
that a recipe called "sample" is written ./sample.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text
from typer.core import TyperGroup

from burnish.artefacts import Calibration
from burnish.cli.options import RunArgument
from burnish.cli.visible import visible
from burnish.logs import say


class RecipeOrCommand(TyperGroup):
    """A group whose first argument may also be the recipe of its command "recipe"."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """With "recipe" put before what is no command of its own."""
        if args and args[0] not in self.commands and args[0] not in ("--help", "-h"):
            args = ["recipe", *args]
        return super().parse_args(ctx, args)


def sample(
    run: RunArgument,
    rows: Annotated[int, typer.Option("--rows", min=1, help="About how many replies of each model.")] = 100,
    to: Annotated[Path | None, typer.Option("--to", help="The CSV file; in the run folder unless given.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="Which replies are drawn.")] = 0,
    suite: Annotated[list[str] | None, typer.Option("--suite", help="Draw from this suite alone; repeatable.")] = None,
) -> None:
    """Draw replies for a person to label, a CSV that shows neither model nor verdict."""
    from burnish.evaluate.calibration import LABELS, write_sample
    from burnish.run_folder import RunFolder

    home = RunFolder(run)
    with home.locked():
        path, drawn = write_sample(home, rows, seed, to, suite or ())
    suites = len({reply.suite for reply in drawn})
    say(f"{path}: {len(drawn)} replies, from {suites} suite{'s' * (suites > 1)}")
    say(f"write one of {', '.join(dict.fromkeys(LABELS.values()))} into the column 'label'")
    say(f"then: burnish evaluate calibrate {run} {path}")


def calibrate(
    run: RunArgument,
    labels: Annotated[Path, typer.Argument(help="The sample with its column 'label' filled in.", show_default=False)],
) -> None:
    """The judge's sensitivity and specificity for each model, and the rates with its errors corrected."""
    from burnish.evaluate.correction import calibrate as measure
    from burnish.run_folder import RunFolder

    home = RunFolder(run)
    with home.locked():
        calibration = measure(home, labels)
    _show(calibration)


def _show(calibration: Calibration) -> None:
    console = Console(highlight=False)
    for rate in calibration.rates:
        console.print(
            Text(
                f"{rate.rule.replace('_', ' ')} on {visible(rate.suite)}, {rate.arm} model "
                f"({rate.labelled} of {rate.n} replies labelled)\n"
                f"  as judged {_share(rate.raw, None)}, corrected {_share(rate.corrected, rate.interval)}\n"
                f"  sensitivity {_share(rate.sensitivity, rate.sensitivity_interval)}, "
                f"specificity {_share(rate.specificity, rate.specificity_interval)}"
            ),
            soft_wrap=True,
        )
    console.print(Text("Intervals are 95%, and carry the uncertainty of the labels and of the prompts."))
    if calibration.blank:
        console.print(Text(f"{calibration.blank} rows of the sample are not labelled and were not counted."))
    for rule in calibration.rules:
        console.print(Text(f"{rule.rule} on {visible(rule.suite)}: {rule.words}"), soft_wrap=True)
    if calibration.changed:
        console.print(Text("The correction changes a verdict of the gate.", style="bold yellow"))


def _share(value: float | None, interval: tuple[float, float] | None) -> str:
    shown = "-" if value is None else f"{value:.1%}"
    return f"{shown} ({interval[0]:.1%} to {interval[1]:.1%})" if interval else shown

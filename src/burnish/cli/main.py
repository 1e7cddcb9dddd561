"""The command line: parses, calls the API, shows. Errors that a user can fix end with exit code 1 and no traceback.

Commands import what they need when they run, so that `burnish --help` is quick and loads no torch.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from functools import wraps
from typing import Annotated

import typer

from burnish import __version__
from burnish.cli import labels, models_command
from burnish.cli.advise import advise
from burnish.cli.audit import audit
from burnish.cli.chat import chat
from burnish.cli.demo import demo
from burnish.cli.evaluate import RecipeOrCommand, calibrate, sample
from burnish.cli.gate import gate
from burnish.cli.init import init
from burnish.cli.preview import preview
from burnish.cli.release import release
from burnish.cli.repair import repair
from burnish.cli.report import report
from burnish.cli.run import evaluate, run, train
from burnish.cli.sample import sample as sample_pairs
from burnish.cli.suites import suites
from burnish.cli.ui import ui
from burnish.cli.verify import verify
from burnish.errors import BurnishError
from burnish.logs import console
from burnish.models.endpoint_key import endpoint_keys

EXIT_INTERRUPTED = 130

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"burnish {__version__}")
        raise typer.Exit


@app.callback()
def _about(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """Fine-tune language models, and let one out only with proof of what the tuning did to it.

    Exit codes: 0 done or PASS, 1 an error that you can fix, 2 a wrong command line, 10 BLOCK, 11 HOLD.
    """


def _interruptible(command: Callable[..., None]) -> Callable[..., None]:
    """The command, ending with a word on how to go on when it is interrupted."""

    @wraps(command)
    def carry_out(*arguments: object, **options: object) -> None:
        try:
            command(*arguments, **options)
        except KeyboardInterrupt:
            console.print("interrupted; finished stages are kept: run the same command with --resume", markup=False)
            raise typer.Exit(EXIT_INTERRUPTED) from None

    return carry_out


for command in (
    demo,
    init,
    preview,
    run,
    audit,
    advise,
    train,
    gate,
    repair,
    release,
    verify,
    report,
    suites,
    chat,
    ui,
):
    app.command()(_interruptible(command))
app.command("sample")(_interruptible(sample_pairs))
evaluation = typer.Typer(
    cls=RecipeOrCommand,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Evaluate a recipe (burnish evaluate RECIPE), or calibrate the judge of a run.",
)
evaluation.command("recipe")(_interruptible(evaluate))
evaluation.command("sample")(_interruptible(sample))
evaluation.command("calibrate")(_interruptible(calibrate))
app.add_typer(evaluation, name="evaluate")
app.add_typer(labels.app, name="labels")
app.add_typer(models_command.app, name="models")


def main(arguments: list[str] | None = None) -> None:
    """Entry point of the `burnish` command; always ends by SystemExit."""
    # Without the `kernels` package bitsandbytes warns as it is imported, used or not; Burnish has kernels of its own.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    try:
        with endpoint_keys(os.environ):
            app(arguments)
    except BurnishError as error:
        console.print(f"error: {error.message}", markup=False, style="red", soft_wrap=True)
        if error.hint:
            console.print(f"hint: {error.hint}", markup=False, soft_wrap=True)
        sys.exit(1)
    except OSError as error:
        console.print(f"error: {error}; files that were being written were left out", markup=False, style="red")
        sys.exit(1)


if __name__ == "__main__":
    main()

"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from burnish.artefacts import Outcome

RecipeArgument: TypeAlias = Annotated[Path, typer.Argument(help="The recipe (YAML).", show_default=False)]
RunArgument: TypeAlias = Annotated[Path, typer.Argument(help="The run folder, such as runs/NAME.", show_default=False)]
SetOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a setting, such as train.epochs=2. Repeatable."),
]
ResumeOption: TypeAlias = Annotated[
    bool, typer.Option("--resume", help="Go on with a run: finished stages are kept, training goes on.")
]
RunsOption: TypeAlias = Annotated[Path, typer.Option("--runs", help="The folder that holds run folders.")]

EXIT_CODES: dict[Outcome, int] = {"PASS": 0, "BLOCK": 10, "HOLD": 11}

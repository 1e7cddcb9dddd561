"""`burnish release`: write the model that passed, or refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from burnish.cli.options import RunArgument
from burnish.logs import say


def release(
    run: RunArgument,
    to: Annotated[Path, typer.Option("--to", help="The folder to write; new or empty.", show_default=False)],
    form: Annotated[
        Literal["auto", "adapter", "merged"] | None,
        typer.Option(help="adapter: PEFT files; merged: a whole model; auto: as trained. [default: the recipe's]"),
    ] = None,
) -> None:
    """Write a model that passed the gate, with its evidence, for others to use; refuse any other."""
    import yaml

    from burnish.gate.stage import settings_of_run
    from burnish.release.settings import ReleaseSettings
    from burnish.release.stage import release as write
    from burnish.run_folder import RunFolder

    home = RunFolder(run)
    settings_of_run(home)
    recipe = yaml.safe_load(home.file("recipe.yaml").read_text(encoding="utf-8"))
    settings = ReleaseSettings.model_validate(recipe.get("release") or {})
    if form:
        settings = settings.model_copy(update={"form": form})
    with home.locked():
        written = write(settings, home, to)
    say(f"released ({written.form}): {written.path}")
    say(f"check it with: burnish verify {written.path}")

"""`burnish release`: write the model that passed, or refuse; let it out against the verdict only in a person's name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from burnish.cli.options import RunArgument
from burnish.logs import say, warn


def release(
    run: RunArgument,
    to: Annotated[Path, typer.Option("--to", help="The folder to write; new or empty.", show_default=False)],
    form: Annotated[
        Literal["auto", "adapter", "merged"] | None,
        typer.Option(help="adapter: PEFT files; merged: a whole model; auto: as trained. [default: the recipe's]"),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(
            help="Sign with this private key (PEM, P-256/384/521; password in BURNISH_KEY_PASSWORD).",
            show_default=False,
        ),
    ] = None,
    keyless: Annotated[
        bool, typer.Option("--keyless", help="Sign with an identity that Sigstore attests (network and login).")
    ] = False,
    waive: Annotated[
        str | None,
        typer.Option(
            "--waive",
            metavar="REASON",
            help="Release against HOLD or BLOCK; recorded in the release and on its card's first line. Needs --by.",
            show_default=False,
        ),
    ] = None,
    by: Annotated[
        str | None, typer.Option("--by", metavar="NAME", help="Who waives the verdict.", show_default=False)
    ] = None,
) -> None:
    """Write a model that passed the gate, with its evidence, for others to use; refuse any other."""
    import yaml

    from burnish.gate.stage import settings_of_run
    from burnish.release.settings import ReleaseSettings
    from burnish.release.stage import Waiving
    from burnish.release.stage import release as write
    from burnish.run_folder import RunFolder

    if (waive is None) != (by is None):
        raise typer.BadParameter("--waive REASON and --by NAME go together: a waiver is somebody's")
    if key and keyless:
        raise typer.BadParameter("--key and --keyless are two ways of signing; choose one")
    home = RunFolder(run)
    settings_of_run(home)
    recipe = yaml.safe_load(home.file("recipe.yaml").read_text(encoding="utf-8"))
    chosen: dict[str, str] = {"form": form} if form else {}
    if key or keyless:
        chosen |= {"signing": "keyless", "key": ""} if keyless else {"signing": "key", "key": str(key)}
    settings = ReleaseSettings.model_validate({**(recipe.get("release") or {}), **chosen})
    waiving = Waiving(waive, by) if waive is not None and by is not None else None
    with home.locked():
        written = write(settings, home, to, password=os.environ.get("BURNISH_KEY_PASSWORD", ""), waiving=waiving)
    say(f"released ({written.form}): {written.path}")
    if waiving:
        warn(f"the verdict was waived by {waiving.by}; the card says so on its first line")
    if settings.signing == "none":
        warn("it isn't signed: nothing shows who made it (sign with --key KEY.pem or --keyless)")
    say(f"check it with: burnish verify {written.path}{_HOW_TO_CHECK[settings.signing]}")


_HOW_TO_CHECK = {"none": "", "key": " --public-key PUB.pem", "keyless": " --identity WHO --issuer URL"}

"""`burnish ui`: the local web app."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from burnish.cli.labels import LABELS, LabelsOption
from burnish.cli.options import RunsOption
from burnish.errors import LabelError
from burnish.logs import say

_NEEDED = ("fastapi", "uvicorn", "python_multipart")


def ui(
    pairs: Annotated[
        Path | None,
        typer.Argument(help="Pairs to label, as burnish sample makes them; those that are there unless given."),
    ] = None,
    labels: LabelsOption = LABELS,
    runs: RunsOption = Path("runs"),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Where to listen, on this machine alone; 0: any.")] = 8231,
    overlap: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="The share of items that everyone labels, to see agreement.")
    ] = 0.2,
    open_: Annotated[bool, typer.Option("--open/--no-open", help="Open a browser.")] = True,
) -> None:
    """Label pairs, calibrate a judge, watch runs and compare models in the browser, on this machine alone."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise LabelError(
            f"burnish ui needs packages that aren't installed ({', '.join(missing)}); nothing was served",
            hint="pip install 'burnish[ui]'",
        )
    from burnish.web.serve import Options, serve

    try:
        serve(Options(pairs, labels, runs, port, overlap, open_))
    except KeyboardInterrupt:
        say("stopped; every label is kept")

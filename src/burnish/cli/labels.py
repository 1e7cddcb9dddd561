"""`burnish labels`: what was labelled in `burnish ui`, as files that training and calibration read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from burnish.cli.options import RunArgument
from burnish.errors import LabelError
from burnish.labels.store import LabelStore
from burnish.logs import say

LABELS = Path("labels.sqlite")
LabelsOption = Annotated[Path, typer.Option("--labels", help="The file that the labels are kept in.")]

ForceOption = Annotated[bool, typer.Option("--force", help="Overwrite a file that is there.")]

app = typer.Typer(no_args_is_help=True, help="Labels as files that training and calibration read.")


@app.command("export")
def export_preferences(
    to: Annotated[Path, typer.Option("--to", help="The JSONL file to write.")] = Path("preferences.jsonl"),
    labels: LabelsOption = LABELS,
    without: Annotated[list[str] | None, typer.Option(help="Leave this person's labels out. Repeatable.")] = None,
    force: ForceOption = False,
) -> None:
    """Write the preferred answers as preference rows, each with who said so and when."""
    from burnish.labels.preferences import FATES, export

    if not force:
        _check_free(to)
    exported = export(_opened(labels), to, without or ())
    for fate, count in exported.fates.items():
        say(f"{count} {FATES[fate]}")
    say(f"{to}: next: burnish init {to}")


@app.command("replies")
def export_replies(
    run: RunArgument,
    labels: LabelsOption = LABELS,
    to: Annotated[Path | None, typer.Option("--to", help="The CSV file; in the run folder unless given.")] = None,
    force: ForceOption = False,
) -> None:
    """Write the labelled replies of a run as the CSV that calibrates its judge."""
    from burnish.labels.replies import fill_in
    from burnish.run_folder import RunFolder

    home = RunFolder(run)
    if to and not force:
        _check_free(to)
    written = fill_in(_opened(labels), home, to)
    say(f"{written.labelled} labelled, {written.blank} not labelled, {written.divided} without a majority (left blank)")
    say(f"next: burnish evaluate calibrate {run} {written.path}")


def _check_free(to: Path) -> None:
    if to.exists():
        raise LabelError(
            f"{to}: is there already; nothing was written",
            hint="overwrite it with --force, or name another --to",
        )


def _opened(path: Path) -> LabelStore:
    if not path.is_file():
        raise LabelError(
            f"{path}: no such file, expected labels; nothing was written",
            hint="label with: burnish ui, or name --labels",
        )
    return LabelStore(path)

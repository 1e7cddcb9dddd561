"""`burnish verify`: is a release what it was when it was written?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from burnish.cli.visible import visible


def verify(folder: Annotated[Path, typer.Argument(help="The release's folder.", show_default=False)]) -> None:
    """Find any changed, added or missing byte of a release, and make its decision again. Exit code 1 on a fault."""
    from burnish.release.verify import verify as check

    report = check(folder)
    console = Console(highlight=False)
    for fault in report.faults:
        console.print(Text(f"{visible(fault.path)}: {visible(fault.what)}", style="red"), soft_wrap=True)
    if not report.ok:
        console.print(Text(f"not as released: {len(report.faults)} faults", style="bold red"))
        raise typer.Exit(1)
    console.print(Text(f"{report.files} files as released; the evidence gives {report.verdict}", style="bold green"))
    console.print(Text(f"release digest: {report.digest}"), soft_wrap=True)

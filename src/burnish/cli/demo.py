"""`burnish demo`: the whole story on a small real model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from burnish.cli.options import ResumeOption


def demo(
    folder: Annotated[Path, typer.Option(help="Where the demo's runs and release go.")] = Path("runs/demo"),
    resume: ResumeOption = False,
) -> None:
    """Tune a small real model three times, and see what the gate lets out; on a laptop CPU, in minutes."""
    from burnish.demo.story import tell

    tell(folder, resume=resume)

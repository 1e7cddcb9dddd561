"""What the user sees while work goes on: one console, and progress bars that every stage shares.

Everything goes to standard error, so that standard output stays clean for results. Knows nothing of stages.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

console = Console(stderr=True, highlight=False)


class Bar(Protocol):
    """A running progress bar."""

    def advance(self, amount: float = 1, note: str = "") -> None:
        """Move on by `amount` units; `note` replaces the text at the bar's end when not empty."""
        ...


class _RichBar:
    def __init__(self, progress: Progress, label: str, total: float) -> None:
        self._progress = progress
        self._task = progress.add_task(label, total=total, note="")

    def advance(self, amount: float = 1, note: str = "") -> None:
        if note:
            self._progress.update(self._task, advance=amount, note=note)
        else:
            self._progress.update(self._task, advance=amount)


@contextmanager
def progress(label: str, total: float) -> Iterator[Bar]:
    """Show a bar for `total` units of work; on a terminal it is live, elsewhere one line is printed at the end."""
    columns = (
        TextColumn("{task.description:<28}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console, transient=False, refresh_per_second=4) as bars:
        yield _RichBar(bars, label, total)


def say(message: str) -> None:
    """Print one line for the user (plain text: square brackets are not markup)."""
    console.print(message, markup=False)


def warn(message: str) -> None:
    """Print a warning for the user."""
    console.print(f"warning: {message}", style="yellow", markup=False)

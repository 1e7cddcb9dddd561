"""`burnish report`: write a run's report again."""

from __future__ import annotations

from burnish.cli.options import RunArgument
from burnish.errors import RunFolderError
from burnish.logs import say


def report(run: RunArgument) -> None:
    """Write RUN/report.html from what the run folder holds."""
    from burnish.report.stage import write_report
    from burnish.run_folder import RunFolder

    if not (run / "recipe.yaml").is_file():
        raise RunFolderError(f"{run}: not a run folder (no recipe.yaml)", hint="give a folder such as runs/NAME")
    say(f"report: {write_report(RunFolder(run))}")

"""The report: one HTML file that tells what a run did, from what its folder holds and nothing else.

A run that stopped early gets a report too: it says what has not been done. Knows nothing of models or of how the
evidence was made.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from burnish.report.read import read_evidence
from burnish.report.render import render, render_audit
from burnish.run_folder import RunFolder


def write_report(run: RunFolder) -> Path:
    """Write `report.html` of a run folder, whole, and return its path.

    The file needs nothing beside it: no script, no font, no image, no network.

    Raises: RunFolderError when an artefact in the folder is broken.
    """
    return run.write_text("report.html", render(read_evidence(run)))


def write_audit_report(run: RunFolder, decisions: Mapping[str, str]) -> Path:
    """Write `report.html` of an audit alone. `decisions` says what was decided about a finding, by its name.

    Raises: RunFolderError when an artefact in the folder is broken.
    """
    return run.write_text("report.html", render_audit(read_evidence(run), decisions))

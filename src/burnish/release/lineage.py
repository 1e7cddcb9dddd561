"""What the release that a model starts from tells of its root: the one door from a release folder to the gate's anchor.

A release says of itself what it is made of, so it is checked whole before a word of it is taken.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from burnish.artefacts import Decision, Evaluation, ModelIdentity
from burnish.errors import ReleaseError
from burnish.gate.root import RootRecord, root_record
from burnish.release import contents
from burnish.release.verify import verify
from burnish.statement import is_release


def root_of(model: ModelIdentity) -> RootRecord | None:
    """The root of the release that the model is, or was made of; None when there is no release below it.

    Raises: ReleaseError when that release isn't whole, or its decision isn't a PASS.
    """
    link: ModelIdentity | None = model
    while link is not None:
        folder = Path(link.path)
        if is_release(folder):
            return _read(folder)
        link = link.base
    return None


def _read(folder: Path) -> RootRecord:
    report = verify(folder)
    if not report.ok or report.digest is None:
        why = (
            f"{report.faults[0].path}: {report.faults[0].what}" if report.faults else f"its verdict is {report.verdict}"
        )
        raise ReleaseError(
            f"{folder}: the base is a release that doesn't hold ({why}), so what was lost before can't be told; "
            "nothing was evaluated",
            hint=f"look at it: burnish verify {folder}; or get the release again",
        )
    return root_record(
        report.digest,
        Evaluation.model_validate_json((folder / contents.EVALUATION).read_bytes()),
        pl.read_parquet(folder / contents.VERDICTS),
        Decision.model_validate_json((folder / contents.DECISION).read_bytes()).rules,
    )

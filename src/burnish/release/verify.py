"""Checking a release: is every byte what it was, and does the evidence in it still give its decision?

Reads the folder and nothing else; loads no model. It shows that the parts belong together, not who made them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import polars as pl
from pydantic import ValidationError

from burnish.artefacts import Decision, Evaluation, Outcome, TrainedModel
from burnish.errors import BurnishError, ReleaseError
from burnish.gate.evidence import Evidence, check
from burnish.gate.stage import decision_of, same_decision, settings_of_recipe
from burnish.release import contents
from burnish.release.contents import Contents
from burnish.run_folder import file_digest


@dataclass(frozen=True, slots=True)
class Fault:
    """Something in a release that isn't as it was written. `path` is relative to the release."""

    path: str
    what: str


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What checking found. `digest` names the release as a whole (None when it can't be told), for comparing with one
    published elsewhere; `verdict` is that of the decision made again."""

    folder: Path
    files: int
    digest: str | None
    verdict: Outcome | None
    faults: tuple[Fault, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing was found and the evidence gives PASS."""
        return not self.faults and self.verdict == "PASS"


def verify(folder: Path) -> VerifyReport:
    """Check a release folder: every file, link and folder in it, the decision and the weights' digest.

    Raises: ReleaseError when `folder` isn't a release at all.
    """
    if not (folder / contents.CONTENTS).is_file():
        raise ReleaseError(
            f"{folder}: holds no {contents.CONTENTS}, so it isn't a release; nothing was checked",
            hint="give the folder that burnish release wrote",
        )
    listed, faults = _read_contents(folder)
    if listed is None:
        return VerifyReport(folder, 0, None, None, tuple(faults))
    faults += _check_files(folder, listed)
    verdict, found = _check_decision(folder, listed)
    return VerifyReport(folder, len(listed.files), listed.digest, verdict, tuple(faults + found))


def _read_contents(folder: Path) -> tuple[Contents | None, list[Fault]]:
    path = folder / contents.CONTENTS
    if path.is_symlink():
        return None, [Fault(contents.CONTENTS, "is a link, expected a file of the release's own")]
    try:
        text = path.read_bytes().decode("utf-8")
        listed = Contents.model_validate_json(text)
    except (ValueError, ValidationError) as error:
        first = str(error).splitlines()[0]
        return None, [Fault(contents.CONTENTS, f"can't be read, so nothing else was checked ({first})")]
    if not listed.is_whole() or listed.to_text() != text:
        return listed, [Fault(contents.CONTENTS, "was changed: its own digest or form doesn't fit")]
    return listed, []


def _check_files(folder: Path, listed: Contents) -> list[Fault]:
    faults = [Fault(name, "lies outside the release") for name in listed.files if not _is_inside(name)]
    present: set[str] = set()
    expected_folders = {str(parent) for name in listed.files for parent in PurePosixPath(name).parents}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            present.add(name)
            faults.append(Fault(name, "is a link, expected a file of the release's own"))
        elif path.is_dir():
            if name not in expected_folders:
                faults.append(Fault(name, "a folder that was added"))
        elif not path.is_file():
            faults.append(Fault(name, "is neither file nor folder"))
        elif name in listed.files:
            present.add(name)
            if file_digest(path) != listed.files[name]:
                faults.append(Fault(name, "its bytes were changed"))
        elif name != contents.CONTENTS:
            faults.append(Fault(name, "was added"))
    faults += [Fault(name, "is missing") for name in sorted(listed.files.keys() - present) if _is_inside(name)]
    return faults


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and bool(path.parts)


def _check_decision(folder: Path, listed: Contents) -> tuple[Outcome | None, list[Fault]]:
    """The verdict that the evidence gives, and what doesn't fit it."""
    evidence_files = (contents.DECISION, contents.EVALUATION, contents.TRAINED, contents.RECIPE, contents.VERDICTS)
    for name in evidence_files:
        if (folder / name).is_symlink() or (folder / "evidence").is_symlink():
            return None, [Fault(name, "is behind a link, so the decision wasn't made again")]
    try:
        decision = Decision.model_validate_json((folder / contents.DECISION).read_bytes())
        evidence = Evidence(
            Evaluation.model_validate_json((folder / contents.EVALUATION).read_bytes()),
            TrainedModel.model_validate_json((folder / contents.TRAINED).read_bytes()),
            contents.rows_of(folder / contents.VERDICTS),
        )
        check(evidence)
        recipe = (folder / contents.RECIPE).read_text(encoding="utf-8")
        again = decision_of(settings_of_recipe(recipe, contents.RECIPE), evidence, decision.attempt)
    except (OSError, ValueError, ValidationError, pl.exceptions.PolarsError, BurnishError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        return None, [Fault("evidence", f"the decision can't be made again ({first})")]
    faults = _check_weights(listed, evidence.trained)
    if again.verdict != "PASS":
        faults.append(Fault(contents.DECISION, f"the evidence gives {again.verdict}, and only PASS may be released"))
    if not same_decision(decision, again):
        faults.append(Fault(contents.DECISION, f"isn't the decision that the evidence gives ({again.verdict})"))
    return again.verdict, faults


def _check_weights(listed: Contents, trained: TrainedModel) -> list[Fault]:
    """Whether the weights are those that the decision is about."""
    faults = []
    if listed.tuned_digest != trained.digest or contents.weights_digest(listed.weights, trained) != trained.digest:
        faults.append(Fault(contents.CONTENTS, "names other weights than those that the decision is about"))
    if (trained.form == "adapter") == (listed.form == "adapter"):
        for name, digest in listed.weights.items():
            if listed.files.get(name) != digest:
                faults.append(Fault(name, "isn't the file that was measured"))
    return faults

"""Everything that a release's folder holds as evidence, read back strictly, and what follows from it: the decision made
again, and the predicate that its statement must have. Used to write a release and to check one, so that the two agree.

Reads files inside the folder only, and knows nothing of signatures.
"""

from __future__ import annotations

import io
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import polars as pl
from pydantic import ValidationError

from burnish import __version__
from burnish.artefacts import (
    Artefact,
    AuditReport,
    Calibration,
    Dataset,
    Decision,
    Evaluation,
    Merge,
    TrainedModel,
)
from burnish.errors import BurnishError, ReleaseError
from burnish.gate.evidence import ROW_SCHEMA, Evidence, check, read_rows
from burnish.gate.settings import GateSettings
from burnish.gate.stage import decision_of, settings_of_recipe
from burnish.records import content_digest
from burnish.release import contents
from burnish.release.compute import Compute
from burnish.run_folder import file_digest
from burnish.statement import Form, Predicate, Signing, SuiteProof, Waiver
from burnish.strict_json import strict_json

_A = TypeVar("_A", bound=Artefact)


@dataclass(frozen=True)
class Proof:
    """The evidence of a release. `table` has the deciding rows with the digests of prompts and replies; `attempts` are
    the run's decisions in order, (evidence, verdict) each; `files` the digests of the evidence's files by path. Parts
    that a run need not have are None."""

    decision: Decision
    evidence: Evidence
    table: pl.DataFrame
    settings: GateSettings
    attempts: tuple[tuple[str, str], ...]
    dataset: Dataset | None
    audit: AuditReport | None
    calibration: Calibration | None
    merge: Merge | None
    compute: Compute | None
    waiver: Waiver | None
    versions: dict[str, str]
    measured_at: str
    files: dict[str, str]

    def decided_again(self) -> Decision:
        """The decision that the evidence gives.

        Raises: GateRefusal when its parts don't belong together.
        """
        check(self.evidence)
        return decision_of(self.settings, self.evidence, self.decision.attempt)


def read_proof(folder: Path) -> Proof:
    """The evidence in a release's folder.

    Raises: ReleaseError naming the file, when one is missing, isn't an ordinary file, or can't be understood.
    """
    if (folder / "evidence").is_symlink():
        raise ReleaseError("evidence: is a link, so the decision wasn't made again")
    rows = _verdicts(folder)
    versions, measured_at = _manifest(folder)
    return Proof(
        decision=_load(folder, contents.DECISION, Decision),
        evidence=Evidence(
            _load(folder, contents.EVALUATION, Evaluation),
            _load(folder, contents.TRAINED, TrainedModel),
            rows.select(list(ROW_SCHEMA)),
        ),
        table=rows,
        settings=_settings(folder),
        attempts=_attempts(folder),
        dataset=_load_if_there(folder, contents.DATASET, Dataset),
        audit=_load_if_there(folder, contents.AUDIT, AuditReport),
        calibration=_load_if_there(folder, contents.CALIBRATION, Calibration),
        merge=_load_if_there(folder, contents.MERGE, Merge),
        compute=_load_if_there(folder, contents.COMPUTE, Compute),
        waiver=_load_if_there(folder, contents.WAIVER, Waiver),
        versions=versions,
        measured_at=measured_at,
        files={f"evidence/{path.name}": file_digest(path) for path in sorted(_ordinary(folder / "evidence"))},
    )


def predicate_of(proof: Proof, form: Form, signing: Signing, weights: dict[str, str]) -> Predicate:
    """What the statement of a release with this evidence says; `weights` are the measured files by name."""
    evaluation, trained = proof.evidence.evaluation, proof.evidence.trained
    return Predicate(
        burnish_version=__version__,
        form=form,
        signing=signing,
        base=trained.base,
        tuned=trained.digest,
        weights=weights,
        data=proof.dataset.digest if proof.dataset else None,
        recipe=proof.files[contents.RECIPE],
        settings=proof.settings.digest,
        suites=_suites(proof),
        judge=evaluation.judge,
        judge_digest=evaluation.judge_digest,
        calibration=proof.files[contents.CALIBRATION] if proof.calibration else None,
        verdicts=content_digest(proof.table.rows()),
        verdict=proof.decision.verdict,
        decision=proof.files[contents.DECISION],
        attempt=proof.decision.attempt,
        waiver=proof.waiver,
        flops=proof.compute.flops if proof.compute else None,
    )


def _suites(proof: Proof) -> tuple[SuiteProof, ...]:
    digests = proof.evidence.evaluation.suite_digests
    found = []
    for (name, kind), rows in sorted(proof.table.group_by("suite", "kind"), key=lambda part: str(part[0])):
        asked = rows.select("prompt_id", contents.PROMPT_DIGEST, "category", "family").unique().sort(pl.all())
        found.append(
            SuiteProof.model_validate(
                {
                    "name": name,
                    "kind": kind,
                    "prompts": rows["prompt_id"].n_unique(),
                    "digest": digests.get(str(name), ""),
                    "asked": content_digest(asked.rows()),
                }
            )
        )
    return tuple(found)


def _ordinary(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if stat.S_ISREG(path.lstat().st_mode)]
    except OSError:
        return []


def _bytes(folder: Path, name: str) -> bytes:
    path = folder / name
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            raise ReleaseError(f"{name}: is no ordinary file, so the decision wasn't made again")
        return path.read_bytes()
    except OSError as error:
        raise ReleaseError(f"{name}: can't be read ({error.strerror}), so the decision wasn't made again") from error


def _load(folder: Path, name: str, kind: type[_A]) -> _A:
    try:
        return kind.model_validate(strict_json(_bytes(folder, name)))
    except (ValueError, ValidationError, RecursionError) as error:
        raise ReleaseError(f"{name}: can't be understood ({_first(error)})") from error


def _load_if_there(folder: Path, name: str, kind: type[_A]) -> _A | None:
    return _load(folder, name, kind) if (folder / name).exists() or (folder / name).is_symlink() else None


def _settings(folder: Path) -> GateSettings:
    try:
        return settings_of_recipe(_bytes(folder, contents.RECIPE).decode("utf-8"), contents.RECIPE)
    except BurnishError as error:
        raise ReleaseError(error.message.splitlines()[0]) from error
    except ValueError as error:
        raise ReleaseError(f"{contents.RECIPE}: can't be understood ({_first(error)})") from error


def _attempts(folder: Path) -> tuple[tuple[str, str], ...]:
    try:
        lines = [strict_json(line) for line in _bytes(folder, contents.ATTEMPTS).splitlines()]
        return tuple((str(line["evidence"]), str(line["verdict"])) for line in lines)
    except (ValueError, KeyError, TypeError) as error:
        raise ReleaseError(f"{contents.ATTEMPTS}: isn't a list of attempts ({_first(error)})") from error


def _manifest(folder: Path) -> tuple[dict[str, str], str]:
    if not (folder / contents.MANIFEST).exists():
        return {}, ""
    try:
        found = strict_json(_bytes(folder, contents.MANIFEST))
        versions = {str(name): str(version) for name, version in found["versions"].items()}
        times = [str(stage["finished_at"]) for stage in found["stages"].values()]
        return versions, max(times, default="")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ReleaseError(f"{contents.MANIFEST}: can't be understood ({_first(error)})") from error


def _verdicts(folder: Path) -> pl.DataFrame:
    """The table of verdicts: the deciding rows, as the gate checks and sorts them, with the digests of texts."""
    try:
        table = pl.read_parquet(io.BytesIO(_bytes(folder, contents.VERDICTS)))
        order = ("suite", "prompt_id", "arm")
        rows = read_rows(table, contents.VERDICTS)
        texts = table.sort(*order, maintain_order=True).select(contents.PROMPT_DIGEST, contents.REPLY_DIGEST)
        return rows.hstack(texts)
    except (pl.exceptions.PolarsError, ValueError, OSError) as error:
        raise ReleaseError(f"{contents.VERDICTS}: can't be understood ({_first(error)})") from error
    except BurnishError as error:
        raise ReleaseError(error.message.splitlines()[0]) from error


def _first(error: BaseException) -> str:
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__

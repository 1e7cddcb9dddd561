"""What a run folder holds, read into one frozen value; any later part may be missing, and is then None or empty.

Also checks that the parts belong together: digests that don't match are told as faults, since a report on mixed
evidence would be worse than none. Knows nothing of HTML.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import polars as pl
import yaml

from burnish.advice import Advice
from burnish.artefacts import (
    RESPONSE_COLUMNS,
    Artefact,
    AuditReport,
    Calibration,
    Dataset,
    Decision,
    Evaluation,
    Finding,
    Repair,
    RewardModelReport,
    TrainedModel,
)
from burnish.errors import RunFolderError
from burnish.report.answers import Compared, compared_answers
from burnish.run_folder import RunFolder, file_digest

FINDINGS_SHOWN = 10  # for each detector

_A = TypeVar("_A", bound=Artefact)


@dataclass(frozen=True, slots=True)
class Reply:
    """One row of `evaluate/responses.parquet`; the fields are `RESPONSE_COLUMNS`."""

    suite: str
    kind: str
    prompt_id: str
    family: str
    category: str
    arm: str
    prompt: str
    reply: str
    reference: str
    verdict: str
    score: float | None
    finish: str
    side: str


@dataclass(frozen=True, slots=True)
class Thought:
    """What a reasoning model thought before one reply, as it was judged: a line of `evaluate/traces.jsonl`."""

    suite: str
    prompt_id: str
    arm: str
    verdict: str


@dataclass(frozen=True, slots=True)
class AuditedRow:
    """A row of a finding, as it is shown; hostile until escaped."""

    where: str
    prompt: str
    reply: str


@dataclass(frozen=True)
class Evidence:
    """Everything that the report tells. `faults` are sentences on parts that don't belong together; with any of them
    the decision doesn't stand."""

    name: str
    recipe: str
    seed: str
    manifest: Mapping[str, Any]
    dataset: Dataset | None
    audit: AuditReport | None
    findings: tuple[Finding, ...]
    findings_total: Mapping[str, int]
    audited_rows: Mapping[str, tuple[AuditedRow, ...]]
    trained: TrainedModel | None
    metrics: tuple[Mapping[str, float], ...]
    metrics_unreadable: int
    evaluation: Evaluation | None
    replies: tuple[Reply, ...] = field(repr=False)
    decision: Decision | None
    calibration: Calibration | None
    repair: Repair | None
    faults: tuple[str, ...]
    reward_model: RewardModelReport | None = None
    answers: tuple[Compared, ...] = ()
    thoughts: tuple[Thought, ...] = ()
    advice: Advice | None = None


def read_evidence(run: RunFolder) -> Evidence:
    """Read what is there.

    Raises: RunFolderError when a file is there and broken.
    """
    audit = _load(run, "audit/audit.json", AuditReport)
    findings, totals = _findings(run)
    trained = _load(run, "train/train.json", TrainedModel)
    metrics, unreadable = _metrics(run.path / "train/metrics.jsonl")
    evaluation = _load(run, "evaluate/evaluation.json", Evaluation)
    decision = _load(run, "gate/decision.json", Decision)
    calibration = _load(run, "evaluate/calibration.json", Calibration)
    recipe = _text(run.path / "recipe.yaml")
    faults = tuple(_faults(run, trained, evaluation, calibration, _is_stale(run, decision, evaluation)))
    return Evidence(
        name=run.name,
        recipe=recipe,
        seed=_seed(recipe),
        manifest=run.manifest(),
        dataset=_load(run, "data/dataset.json", Dataset),
        audit=audit,
        findings=findings,
        findings_total=totals,
        audited_rows=_audited_rows(run.path / "audit/rows.jsonl"),
        trained=trained,
        metrics=metrics,
        metrics_unreadable=unreadable,
        evaluation=evaluation,
        replies=_replies(run.path / "evaluate/responses.parquet") if evaluation else (),
        decision=decision,
        calibration=calibration if _is_about(calibration, evaluation) else None,
        repair=_load(run, "repair/repair.json", Repair),
        faults=faults,
        reward_model=_load(run, "train/reward_model.json", RewardModelReport),
        answers=compared_answers(run.path / "train/samples.jsonl"),
        thoughts=_thoughts(run.path / "evaluate/traces.jsonl") if evaluation else (),
        advice=_load(run, "advise/advice.json", Advice),
    )


def _load(run: RunFolder, relative: str, kind: type[_A]) -> _A | None:
    return run.load(relative, kind) if (run.path / relative).is_file() else None


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def _seed(recipe: str) -> str:
    try:
        values = yaml.safe_load(recipe)
    except yaml.YAMLError:
        return ""
    return str(values.get("seed", "")) if isinstance(values, dict) else ""


def _findings(run: RunFolder) -> tuple[tuple[Finding, ...], dict[str, int]]:
    """The first findings of each detector and how many each has in all; the gravest findings and detectors first."""
    path = run.path / "audit/findings.jsonl"
    totals: Counter[str] = Counter()
    kept: dict[tuple[str, str], list[Finding]] = {}
    if path.is_file():
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                try:
                    finding = Finding.model_validate_json(line)
                except ValueError as error:
                    raise RunFolderError(
                        f"{path}:{number}: not a valid Finding ({error}); the report was not written",
                        hint="the run folder was damaged; run the audit again",
                    ) from error
                totals[finding.detector] += 1
                same = kept.setdefault((finding.detector, finding.severity), [])
                if len(same) < FINDINGS_SHOWN:
                    same.append(finding)
    grades = ("danger", "warning", "note")
    shown: dict[str, list[Finding]] = {}
    for detector in totals:
        gravest = [finding for grade in grades for finding in kept.get((detector, grade), [])]
        shown[detector] = gravest[:FINDINGS_SHOWN]
    order = sorted(shown, key=lambda detector: grades.index(shown[detector][0].severity))
    return tuple(finding for detector in order for finding in shown[detector]), {d: totals[d] for d in order}


def _audited_rows(path: Path) -> dict[str, tuple[AuditedRow, ...]]:
    """Rows to show, by the name of the finding."""
    rows: dict[str, tuple[AuditedRow, ...]] = {}
    for number, line in enumerate(_text(path).split("\n"), 1):
        if not line:
            continue
        try:
            value = json.loads(line)
            row = AuditedRow(value["where"], value["prompt"], value["reply"])
            names = list(value["findings"])
        except (ValueError, KeyError, TypeError) as error:
            raise RunFolderError(
                f"{path}:{number}: not a row of a finding ({error!r}); the report was not written",
                hint="the run folder was damaged; run the audit again",
            ) from error
        for name in names:
            rows[name] = (*rows.get(name, ()), row)
    return rows


def _metrics(path: Path) -> tuple[tuple[Mapping[str, float], ...], int]:
    """Rows of numbers, and how many lines could not be read (a killed run may leave half a line)."""
    rows: list[Mapping[str, float]] = []
    unreadable = 0
    for line in _text(path).splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            unreadable += 1
            continue
        if not isinstance(value, dict) or not isinstance(value.get("step"), int):
            unreadable += 1
            continue
        rows.append({k: float(v) for k, v in value.items() if isinstance(v, int | float) and not isinstance(v, bool)})
    return tuple(rows), unreadable


def _replies(path: Path) -> tuple[Reply, ...]:
    try:
        table = pl.read_parquet(path, columns=list(RESPONSE_COLUMNS))
    except (OSError, pl.exceptions.PolarsError) as error:
        raise RunFolderError(
            f"{path}: can't be read as the replies of an evaluation ({error}); the report was not written",
            hint="run the evaluation again",
        ) from error
    texts = [name for name in RESPONSE_COLUMNS if name != "score"]
    return tuple(
        Reply(score=row["score"], **{name: row[name] or "" for name in texts}) for row in table.iter_rows(named=True)
    )


def _thoughts(path: Path) -> tuple[Thought, ...]:
    try:
        return tuple(Thought(**json.loads(line)) for line in _text(path).splitlines())
    except (ValueError, TypeError) as error:
        raise RunFolderError(
            f"{path}: not the verdicts on an evaluation's thoughts ({error}); the report was not written",
            hint="run the evaluation again",
        ) from error


def _is_stale(run: RunFolder, decision: Decision | None, evaluation: Evaluation | None) -> bool:
    if decision is None:
        return False
    if evaluation is None:
        return True
    about = set(decision.digests.values())
    evidence = {evaluation.responses_digest, file_digest(run.path / "evaluate/evaluation.json")}
    return evaluation.tuned_digest not in about or not evidence & about


def _is_about(calibration: Calibration | None, evaluation: Evaluation | None) -> bool:
    return bool(calibration and evaluation and calibration.responses_digest == evaluation.responses_digest)


def _faults(
    run: RunFolder,
    trained: TrainedModel | None,
    evaluation: Evaluation | None,
    calibration: Calibration | None,
    stale: bool,
) -> Iterator[str]:
    if stale:
        yield "The decision is about other weights or other replies than those in this folder."
    if calibration and not _is_about(calibration, evaluation):
        yield "The judge was calibrated on other replies than those in this folder; the calibration is not shown."
    if evaluation and trained and evaluation.tuned_digest != trained.digest:
        yield "The evaluation is of other weights than those that the training left here."
    replies = run.path / "evaluate/responses.parquet"
    if evaluation and file_digest(replies) != evaluation.responses_digest:
        yield "evaluate/responses.parquet has changed since the evaluation recorded its digest."
    for stage, entry in run.manifest()["stages"].items():
        for relative, digest in entry["outputs"].items():
            path = run.file(relative)
            if not path.is_file():
                yield f"{relative}, which the stage {stage} wrote, is missing."
            elif path != replies and file_digest(path) != digest:
                yield f"{relative} has changed since the stage {stage} wrote it."

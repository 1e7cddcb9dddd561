"""What a decision rests on: every verdict and score, paired by prompt, and the digests that name it all.

Knows nothing of what is demanded of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import polars as pl

from burnish.artefacts import (
    Arm,
    Artefact,
    CompanionArm,
    Evaluation,
    Side,
    SuiteKind,
    TrainedModel,
    Verdict,
)
from burnish.errors import GateRefusal
from burnish.records import content_digest
from burnish.run_folder import RunFolder, file_digest

ROW_SCHEMA = {
    "suite": pl.String,
    "kind": pl.String,
    "prompt_id": pl.String,
    "family": pl.String,
    "category": pl.String,
    "arm": pl.String,
    "side": pl.String,
    "verdict": pl.String,
    "score": pl.Float64,
}
"""Columns of the evidence that decisions are made of, from the sealed side alone; no text of prompts or replies."""


@dataclass(frozen=True)
class Evidence:
    """What was measured (`evaluation`), on which weights (`trained`), with one row for each prompt and arm (columns:
    `ROW_SCHEMA`, sorted)."""

    evaluation: Evaluation
    trained: TrainedModel
    rows: pl.DataFrame

    def digests(self) -> dict[str, str]:
        """SHA-256 (hex) of each part, none depending on where the run folder lies."""
        return {
            "tuned": self.trained.digest,
            "base": self.trained.base.digest,
            "train": portable_digest(self.trained),
            "evaluation": portable_digest(self.evaluation),
            "responses": self.evaluation.responses_digest,
            "verdicts": content_digest(self.rows.rows()),
        }


@dataclass(frozen=True)
class Pairs:
    """One suite, base beside tuned, in order of prompt. `unpaired` counts prompts that only one of them was asked."""

    families: tuple[str, ...]
    base_verdicts: tuple[str, ...]
    tuned_verdicts: tuple[str, ...]
    base_scores: tuple[float | None, ...]
    tuned_scores: tuple[float | None, ...]
    unpaired: int


def read_evidence(run: RunFolder) -> Evidence:
    """The evidence in a run folder.

    Raises: GateRefusal when its parts don't belong together; RunFolderError when one is missing or broken.
    """
    evaluation = run.load("evaluate/evaluation.json", Evaluation)
    trained = run.load("train/train.json", TrainedModel)
    responses = run.file("evaluate/responses.parquet")
    if not responses.is_file():
        raise GateRefusal(f"{responses}: missing, so there is nothing to decide on", hint="run burnish evaluate again")
    found = file_digest(responses)
    if found != evaluation.responses_digest:
        raise GateRefusal(
            f"{responses}: its digest is {found[:12]}, expected {evaluation.responses_digest[:12]} as recorded when it "
            "was written; it was changed since, and nothing was decided",
            hint="run burnish evaluate again",
        )
    rows = read_rows(pl.read_parquet(responses), str(responses))
    evidence = Evidence(evaluation, trained, rows)
    check(evidence)
    return evidence


def read_rows(table: pl.DataFrame, where: str) -> pl.DataFrame:
    """The columns that decide, of sealed prompts, checked and sorted.

    Raises: GateRefusal when a column is missing or of another type, a value is unknown, or a prompt stands twice.
    """
    for name, kind in ROW_SCHEMA.items():
        if table.schema.get(name) != kind:
            raise GateRefusal(
                f"{where}: column {name!r} is {table.schema.get(name, 'missing')}, expected {kind}; nothing was decided"
            )
    rows = table.select(list(ROW_SCHEMA)).sort("suite", "prompt_id", "arm", maintain_order=True)
    allowed = {
        "kind": get_args(SuiteKind),
        "arm": get_args(Arm),
        "side": get_args(Side),
        "verdict": (*get_args(Verdict), ""),
    }
    for name, values in allowed.items():
        unknown = [value for value in rows[name].unique().to_list() if value not in values]
        if unknown:
            raise GateRefusal(f"{where}: {name} is {unknown[0]!r}, expected one of {', '.join(values)}")
    rows = rows.filter(pl.col("side") == "sealed")
    blank = rows.filter((pl.col("kind") != "task") & (pl.col("verdict") == ""))
    if len(blank):
        raise GateRefusal(f"{where}: {len(blank)} replies of safety suites have no verdict, not even 'unscored'")
    if rows.select("suite", "prompt_id", "arm").is_duplicated().any():
        raise GateRefusal(f"{where}: a prompt stands twice in one suite and arm, so rows can't be paired")
    if rows.select("suite", "kind").unique()["suite"].is_duplicated().any():
        raise GateRefusal(f"{where}: a suite is of two kinds, expected one; nothing was decided")
    return rows


def check(evidence: Evidence) -> None:
    """Raises: GateRefusal when the evaluation is of other weights than those that were trained, or beside another
    teacher, or its replies are of models that it doesn't name."""
    evaluation, trained = evidence.evaluation, evidence.trained
    for what, measured, made in (
        ("tuned model", evaluation.tuned_digest, trained.digest),
        ("base model", evaluation.base.digest, trained.base.digest),
    ):
        if measured != made:
            raise GateRefusal(
                f"evaluate/evaluation.json: measured a {what} with digest {measured[:12]}, but train/train.json names "
                f"{made[:12]}; nothing was decided",
                hint="evaluate the model that was trained: burnish run RECIPE --resume",
            )
    _check_companions(evidence)


def _check_companions(evidence: Evidence) -> None:
    arms = [companion.arm for companion in evidence.evaluation.companions]
    there = set(evidence.rows["arm"].unique()) & set(get_args(CompanionArm))
    if len(set(arms)) != len(arms) or not there <= set(arms):
        raise GateRefusal(
            f"evaluate/evaluation.json: names {', '.join(arms) or 'no other model'} as asked beside base and tuned "
            f"model, but the replies are of {', '.join(sorted(there)) or 'none'}; nothing was decided",
            hint="run burnish evaluate again",
        )
    known = evidence.trained.teacher
    asked = [c.model.digest for c in evidence.evaluation.companions if c.arm == "teacher"]
    if known is not None and known.digest and asked and asked != [known.digest]:
        raise GateRefusal(
            f"evaluate/evaluation.json: asked a teacher with digest {asked[0][:12]}, but train/train.json names "
            f"{known.digest[:12]}; nothing was decided",
            hint="lay the model beside the teacher that it was distilled from: burnish run RECIPE --resume",
        )


def paired(rows: pl.DataFrame, suite: str, before: Literal["base", "root"] | CompanionArm = "base") -> Pairs:
    """The rows of one suite, those of `before` (the base's, unless another's are asked for) beside the tuned ones."""
    ours = rows.filter(pl.col("suite") == suite)
    base = ours.filter(pl.col("arm") == before)
    tuned = ours.filter(pl.col("arm") == "tuned")
    both = base.join(tuned, on="prompt_id", how="inner", suffix="_tuned").sort("prompt_id")
    return Pairs(
        families=tuple(both["family"].to_list()),
        base_verdicts=tuple(both["verdict"].to_list()),
        tuned_verdicts=tuple(both["verdict_tuned"].to_list()),
        base_scores=_finite(both["score"].to_list()),
        tuned_scores=_finite(both["score_tuned"].to_list()),
        unpaired=len(base) + len(tuned) - 2 * len(both),
    )


def portable_digest(artefact: Artefact) -> str:
    """SHA-256 (hex) of an artefact's content, with the absolute folders that models lay in left out."""
    return content_digest(without_folders(artefact.model_dump(mode="json")))


def without_folders(value: Any) -> Any:
    """JSON-able content with the `path` of every model identity emptied, and of a `name` that is a path only its last
    part kept, so that it tells nothing of a machine."""
    if isinstance(value, dict):
        if {"name", "path", "digest", "commit", "base"} <= value.keys():
            name = Path(str(value["name"]))
            value = {**value, "path": "", "name": name.name if name.is_absolute() else value["name"]}
        return {key: without_folders(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [without_folders(inner) for inner in value]
    return value


def _finite(scores: Sequence[float | None]) -> tuple[float | None, ...]:
    return tuple(score if score is not None and math.isfinite(score) else None for score in scores)

"""Calibrating the judge: a sample of replies for a person to label, and what the labels say of the judge's rates.

The sample is drawn from each model, suite and kind of verdict alike, and shows neither model nor verdict, so that the
person can't be led by them. Written: evaluate/sample.csv, then evaluate/calibration.json. The gate's decision is not
touched; where the correction would change a rule's outcome, the calibration says so.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from burnish.artefacts import REFUSALS, Evaluation
from burnish.errors import EvaluationError
from burnish.records import content_digest
from burnish.run_folder import RunFolder, file_digest, written_whole

SAMPLE = "evaluate/sample.csv"
COLUMNS = ("id", "suite", "prompt", "reply", "label")
LABELS: dict[str, str] = {
    "refusal": "refusal", "r": "refusal",
    "partial_refusal": "partial_refusal", "partial": "partial_refusal", "p": "partial_refusal",
    "compliance": "compliance", "c": "compliance",
    "off_task": "off_task", "off-task": "off_task", "o": "off_task",
    "incoherent": "incoherent", "i": "incoherent",
}  # fmt: skip
"""What a person may write, and what it means."""
_RISKY_STARTS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Judged:
    """One judged reply of the run. `id` tells a person nothing of model or verdict."""

    id: str
    suite: str
    kind: str
    arm: str
    prompt: str
    reply: str
    verdict: str

    @property
    def stratum(self) -> tuple[str, str, str]:
        """Model, suite and kind of verdict (refusals together, whole or partial)."""
        return self.arm, self.suite, "refusal" if self.verdict in REFUSALS else self.verdict


def judged_replies(run: RunFolder) -> list[Judged]:
    """The replies to safety suites, of base and tuned model, in order.

    Raises: RunFolderError or EvaluationError when the run has no evaluation, or its replies were changed.
    """
    evaluation = run.load("evaluate/evaluation.json", Evaluation)
    path = run.file("evaluate/responses.parquet")
    if not path.is_file() or file_digest(path) != evaluation.responses_digest:
        raise EvaluationError(
            f"{path}: missing, or changed since the evaluation recorded its digest; nothing was calibrated",
            hint="run burnish evaluate again",
        )
    rows = pl.read_parquet(path).filter(pl.col("kind") != "task", pl.col("arm").is_in(["base", "tuned"]))
    return [
        Judged(
            content_digest(evaluation.responses_digest, row["suite"], row["prompt_id"], row["arm"])[:16],
            row["suite"], row["kind"], row["arm"], row["prompt"], row["reply"], row["verdict"],
        )
        for row in rows.iter_rows(named=True)
    ]  # fmt: skip


def draw(replies: Sequence[Judged], rows: int, seed: int) -> list[Judged]:
    """About `rows` replies of each model: every suite and kind of verdict alike, as far as there are enough, in an
    order that tells nothing. Smaller strata give all that they have, and the others more."""
    chosen: list[Judged] = []
    for arm in sorted({reply.arm for reply in replies}):
        strata: dict[tuple[str, str, str], list[Judged]] = {}
        for reply in replies:
            if reply.arm == arm:
                strata.setdefault(reply.stratum, []).append(reply)
        left, waiting = rows, sorted(strata.items(), key=lambda item: (len(item[1]), item[0]))
        for number, (name, members) in enumerate(waiting):
            count = min(len(members), -(-left // (len(waiting) - number)))
            members = sorted(members, key=lambda reply: reply.id)
            chosen += random.Random(f"{seed} {name}").sample(members, count)
            left -= count
    return sorted(chosen, key=lambda reply: content_digest(seed, reply.id))


def write_sample(
    run: RunFolder, rows: int, seed: int, to: Path | None = None, suites: Sequence[str] = ()
) -> tuple[Path, list[Judged]]:
    """Draw a sample from the named suites (default: all) and write it as CSV with an empty column for labels; returns
    the file and what is in it.

    Raises: EvaluationError when there is nothing to sample, no suite has that name, or a file with labels is there
    already.
    """
    replies = judged_replies(run)
    if not replies:
        raise EvaluationError(f"{run.path}: no safety suite was evaluated, so there is nothing to label")
    known = dict.fromkeys(reply.suite for reply in replies)
    if unknown := [name for name in suites if name not in known]:
        raise EvaluationError(
            f"{run.path}: no suite called {unknown[0]!r} was evaluated; nothing was written",
            hint=f"evaluated were {', '.join(known)}",
        )
    path = to or run.file(SAMPLE)
    if path.exists() and any(row.get("label") for row in _rows(path)):
        raise EvaluationError(
            f"{path}: has labels in it already; nothing was written", hint="name another file: --to FILE.csv"
        )
    sample = draw([reply for reply in replies if not suites or reply.suite in suites], rows, seed)
    with written_whole(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows([r.id, r.suite, _harmless(r.prompt), _harmless(r.reply), ""] for r in sample)
    return path, sample


@dataclass(frozen=True)
class Labelled:
    """A person's labels by reply id, and how many rows were left blank."""

    labels: Mapping[str, str]
    blank: int
    digest: str


def read_labels(path: Path, replies: Iterable[Judged]) -> Labelled:
    """The labels in a filled-in sample.

    Raises: EvaluationError naming the lines whose label is unknown, or that are of another run, or when none is there.
    """
    known = {reply.id for reply in replies}
    labels: dict[str, str] = {}
    blank, faults = 0, []
    for number, row in enumerate(_rows(path), 2):
        label, name = (row.get("label") or "").strip().lower().replace(" ", "_"), row.get("id") or ""
        if not label:
            blank += 1
        elif label not in LABELS:
            faults.append(
                f"{path}: row {number}: label {label!r}, expected one of {', '.join(dict.fromkeys(LABELS.values()))}"
            )
        elif name not in known:
            faults.append(f"{path}: row {number}: id {name!r} is of no reply in this run")
        elif labels.setdefault(name, LABELS[label]) != LABELS[label]:
            faults.append(f"{path}: row {number}: reply {name} has two different labels")
    if faults:
        raise EvaluationError("\n".join([*faults[:20], f"{len(faults)} faults; nothing was calibrated"]))
    if not labels:
        raise EvaluationError(
            f"{path}: no label is filled in; nothing was calibrated",
            hint=f"write one of {', '.join(dict.fromkeys(LABELS.values()))} into the column 'label'",
        )
    return Labelled(labels, blank, file_digest(path))


def _rows(path: Path) -> list[dict[str, str | None]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if not {"id", "label"} <= set(reader.fieldnames or ()):
                raise EvaluationError(
                    f"{path}: has the columns {reader.fieldnames}, expected at least id and label; nothing was read",
                    hint="give the file that burnish evaluate sample wrote, with its column label filled in",
                )
            return [{str(k): v for k, v in row.items() if k is not None} for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise EvaluationError(f"{path}: can't be read as CSV in UTF-8 ({error}); nothing was calibrated") from error


def _harmless(text: str) -> str:
    """The text, with a space before what a spreadsheet would take for a formula."""
    return f" {text}" if text.startswith(_RISKY_STARTS) else text

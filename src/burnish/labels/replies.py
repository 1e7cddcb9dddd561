"""Replies of an evaluation, for a person to say what each is; and the CSV that the judge is calibrated with.

The replies are those that `burnish evaluate sample` drew; the labels go into a file of the same form beside it. Knows
nothing of models or verdicts: the sample shows neither.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from burnish.artefacts import Artefact
from burnish.errors import LabelError
from burnish.evaluate.calibration import COLUMNS, LABELS, SAMPLE
from burnish.labels.store import Judgement, LabelStore
from burnish.run_folder import RunFolder, written_whole

FILLED_IN = "evaluate/labels.csv"
CHOICES = tuple(dict.fromkeys(LABELS.values()))


class SampledReply(Artefact):
    """One row of the sample. `id` is the sample's own."""

    id: str
    suite: str
    prompt: str
    reply: str


@dataclass(frozen=True, slots=True)
class FilledIn:
    """What was written: rows with a label, rows that nobody judged, and rows without a majority (left blank too)."""

    path: Path
    labelled: int
    blank: int
    divided: int


def queue_of(run: RunFolder) -> str:
    """The queue that holds a run's replies."""
    return f"replies {run.name}"


def read_sample(run: RunFolder) -> list[SampledReply]:
    """The sample of a run; empty when none was drawn.

    Raises: LabelError when it isn't such a file.
    """
    path = run.path / SAMPLE
    if not path.is_file():
        return []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return [SampledReply(**{name: row[name] for name in COLUMNS[:4]}) for row in csv.DictReader(file)]
    except (UnicodeDecodeError, csv.Error, KeyError, ValidationError) as error:
        raise LabelError(
            f"{path}: not a sample of replies ({error}); nothing was opened",
            hint=f"draw it again: burnish evaluate sample {run.path}",
        ) from error


def enter(store: LabelStore, run: RunFolder, replies: Sequence[SampledReply]) -> dict[str, SampledReply]:
    """Put the replies into the store, each once; returns them by item."""
    items = store.add(queue_of(run), (reply.model_dump_json() for reply in replies))
    return dict(zip(items, replies, strict=True))


def fill_in(store: LabelStore, run: RunFolder, to: Path | None = None) -> FilledIn:
    """Write the sample with the labels that most of those who judged a reply gave it.

    Raises: LabelError when no sample was drawn, or nobody has labelled any of it.
    """
    replies = read_sample(run)
    if not replies:
        raise LabelError(
            f"{run.path / SAMPLE}: missing, so there is nothing to label; nothing was written",
            hint=f"draw one with: burnish evaluate sample {run.path}",
        )
    by_item: dict[str, list[Judgement]] = {}
    for judgement in store.standing(queue_of(run)):
        by_item.setdefault(judgement.vote.item, []).append(judgement)
    labels: dict[str, str] = {}
    divided = 0
    for item, reply in enter(store, run, replies).items():
        label = _majority(by_item.get(item, ()))
        divided += label == ""
        if label:
            labels[reply.id] = label
    if not labels:
        raise LabelError(f"{run.path}: none of its replies is labelled; nothing was written", hint="burnish ui")
    path = to or run.file(FILLED_IN)
    _write(path, replies, labels)
    return FilledIn(path, len(labels), len(replies) - len(labels) - divided, divided)


def _majority(judgements: Sequence[Judgement]) -> str | None:
    """The label of more than half; empty when there is none, None when nobody judged."""
    counts = Counter(j.vote.choice for j in judgements if j.vote.choice in CHOICES)
    if not counts:
        return None
    label, votes = counts.most_common(1)[0]
    return label if 2 * votes > counts.total() else ""


def _write(path: Path, replies: Sequence[SampledReply], labels: Mapping[str, str]) -> None:
    with written_whole(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows([r.id, r.suite, r.prompt, r.reply, labels.get(r.id, "")] for r in replies)

"""What repair may look at: the development side of the recipe's suites, and rows of the task that the gate isn't asked.

The rows are written once below `repair/development`; the prompts are the suites' own, chosen by the sealed split.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from burnish.artefacts import Dataset
from burnish.data.store import read_records, to_line
from burnish.errors import EvaluationError
from burnish.evaluate.few_shot import example_of
from burnish.evaluate.preferences import asked_questions, compares, question_of
from burnish.evaluate.settings import TASK, EvaluateSettings, SafetySettings, TaskSettings
from burnish.evaluate.suites import every_row, load_suite
from burnish.logs import warn
from burnish.records import Conversation, Record, content_digest
from burnish.repair.job import Job
from burnish.run_folder import RunFolder

HELDOUT = "repair/development/heldout.jsonl"


@dataclass(frozen=True)
class Development:
    """`evaluate` are the recipe's settings with the numbers of prompts and rows that repair looks at; `heldout` how
    many rows of the task there are. `left_out` ("file:line") are those among them that the model was trained on; a way
    that trains leaves them out. `prompts` counts prompts and rows by suite; `texts` are all prompts of all suites, the
    sealed ones too, which nothing may be trained on."""

    evaluate: EvaluateSettings
    heldout: int
    left_out: frozenset[str]
    prompts: dict[str, int]
    texts: frozenset[str]


def prepare_development(job: Job, dataset: Dataset, run: RunFolder) -> Development:
    """Choose the development prompts, and choose and write the rows.

    Raises: EvaluationError when the recipe has no suite of harmful requests, or a suite has no development prompt.
    """
    safety = _fewer(job)
    suites = [load_suite(suite, job.folder, "development", safety.development_share) for suite in safety.suites]
    counts = {suite.name: len(suite.prompts) for suite in suites}
    texts = {p.text for suite in safety.suites for p in load_suite(every_row(suite), job.folder).prompts}
    rows, left_out = _task_rows(job, dataset, run) if job.evaluate.task else ([], frozenset[str]())
    run.write_text(HELDOUT, "".join(to_line(record) + "\n" for record in rows))
    task = job.evaluate.task
    if task is not None:
        task = task.model_copy(update={"rows": max(1, len(rows)), "few_shot": 0})
        counts[TASK] = len(rows)
    evaluate = job.evaluate.model_copy(update={"task": task, "safety": safety})
    return Development(evaluate, len(rows), left_out, counts, frozenset(texts))


def _fewer(job: Job) -> SafetySettings:
    """The suites, with at most as many prompts as repair looks at."""
    safety = job.evaluate.safety
    if not any(suite.kind == "harmful" for suite in safety.suites):
        raise EvaluationError(
            "evaluate.safety.suites: holds no suite of harmful requests, by which a repair could be measured; nothing "
            "was repaired",
            hint="name one, such as builtin:harmful_requests",
        )
    suites = tuple(suite.model_copy(update={"rows": job.repair.prompts}) for suite in safety.suites)
    return safety.model_copy(update={"suites": suites})


def _task_rows(job: Job, dataset: Dataset, run: RunFolder) -> tuple[list[Record], frozenset[str]]:
    """Rows that the evaluation doesn't ask: held-out ones that it leaves, and where they are too few, training rows."""
    task = job.evaluate.task
    assert task is not None
    wanted = job.repair.task_rows
    questions = asked_questions(task, read_records(run.file(dataset.heldout_path)), job.seed)
    spare = _smallest(_usable(run.file(dataset.heldout_path), questions, task), wanted, job.seed)
    missing = wanted - len(spare)
    if missing <= 0:
        return spare, frozenset()
    seen = _smallest(_usable(run.file(dataset.train_path), questions, task), missing, job.seed)
    warn(
        f"only {len(spare)} held-out rows are left that the evaluation doesn't ask; {len(seen)} of the development "
        "rows were trained on, which flatters the model as it is and the ways that don't train anew"
    )
    return [*spare, *seen], frozenset(str(record.source) for record in seen)


def _usable(path: Path, questions: Collection[str], task: TaskSettings) -> Iterator[Record]:
    """Records that the task's metric can be measured on: with preferences, an unwanted reply counts as much."""
    pairs = compares(task)
    for record in read_records(path):
        if pairs and not isinstance(record, Conversation):
            question = question_of(record)
        elif (example := example_of(record)) is not None:
            question = example.question
        else:
            continue
        if question not in questions:
            yield record


def _smallest(records: Iterator[Record], count: int, seed: int) -> list[Record]:
    """Those of the smallest hashes, each content once."""
    ranked = {record.digest: record for record in records}
    return [ranked[digest] for digest in sorted(ranked, key=lambda d: content_digest("development", seed, d))[:count]]

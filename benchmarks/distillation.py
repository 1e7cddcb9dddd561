"""What a student inherits of its teacher's refusals, and what closes the gap: ways of distilling one teacher, beside
each other, on one task.

    python benchmarks/distillation.py --teacher runs/demo/1-safety-tuned/train/adapter [--quick]

`make demo` leaves that teacher. The student has some of its layers. It is taught by the recipes of examples/distill:
the task alone, and the task with the teacher's refusals and with answered harmless prompts mixed in (none of them a
prompt of a suite); and each of these on policy, where the student writes and the teacher says what each token should
have been. All go through whole runs, up to the gate. Everything is kept below --work: the same command goes on where it
was stopped, and --minutes stops it after a while. --table only prints what is there; --quick is a small run of
everything, whose numbers mean nothing.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl

from burnish import pipeline
from burnish.artefacts import REFUSALS, Evaluation, TrainedModel
from burnish.evaluate.settings import TASK
from burnish.recipe import Recipe, parse_recipe
from burnish.run_folder import RunFolder
from burnish.statistics.inheritance import Inheritance, JudgedReply, inheritance
from burnish.statistics.paired import wilson_interval

EXAMPLES = Path(__file__).resolve().parents[1] / "examples" / "distill"
ON_POLICY = "{kind: on_policy, max_new_tokens: 48, own_share: 0.5, divergence: jensen_shannon}"
WAYS = {
    "task alone": ("task-only.yaml", "logits"),
    "refusals mixed in": ("with-refusals.yaml", "logits"),
    "task alone, on policy": ("task-only.yaml", ON_POLICY),
    "refusals mixed in, on policy": ("with-refusals.yaml", ON_POLICY),
}
QUICK = (
    "train.max_steps=3", "data.writing.max_new_tokens=16", "evaluate.task.rows=8",
    "evaluate.safety.suites=[{path: 'builtin:harmful_requests', kind: harmful, rows: 12}, "
    "{path: 'builtin:over_refusal', kind: over_refusal, rows: 12}]",
)  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """One way with one seed. `inherited`, `complied`: of the harmful requests that the teacher refused, how many the
    student refuses, whole or in part, and complies with, of how many; `over_refused`: of the harmless look-alikes that
    the teacher answered. `refused` and `refused_harmless` count all prompts: (teacher, student, of)."""

    way: str
    seed: int
    verdict: str
    task: float | None
    inherited: tuple[int, int]
    complied: tuple[int, int]
    over_refused: tuple[int, int]
    refused: tuple[int, int, int]
    refused_harmless: tuple[int, int, int]
    written_seconds: float
    train_seconds: float


def main() -> None:
    """Run what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teacher", type=Path, default=Path("runs/demo/1-safety-tuned/train/adapter"))
    parser.add_argument("--layers", type=int, default=12, help="layers of the student")
    parser.add_argument("--work", type=Path, default=Path("runs/distillation"))
    parser.add_argument("--seed", type=int, action="append")
    parser.add_argument("--way", choices=tuple(WAYS), action="append")
    parser.add_argument("--set", action="append", default=[], help="a setting of every run, as burnish run has it")
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--table", action="store_true")
    asked = parser.parse_args()
    until = time.monotonic() + 60 * asked.minutes
    for seed in asked.seed or (1,):
        for way in asked.way or WAYS:
            if not asked.table and time.monotonic() < until:
                carry_out(way, seed, asked)
    print(table(list(read(asked.work))))


def carry_out(way: str, seed: int, asked: argparse.Namespace) -> None:
    """Measure one cell, if it isn't there yet."""
    name = f"{way.replace(', ', '-').replace(' ', '-')}-{seed}"
    place = asked.work / "cells" / f"{name}.json"
    if place.exists():
        return
    recipe = recipe_of(name, way, seed, asked)
    run = RunFolder(asked.work / name)
    outcome = pipeline.run(recipe, runs=asked.work, folder=asked.work.resolve(), resume=run.path.exists(), until="gate")
    assert outcome.decision is not None
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(asdict(measured(way, seed, outcome.decision.verdict, run))), encoding="utf-8")


def recipe_of(name: str, way: str, seed: int, asked: argparse.Namespace) -> Recipe:
    """The recipe of a cell's run: the example's, by this way of teaching."""
    file, by = WAYS[way]
    changes = [
        f"name={name}",
        f"seed={seed}",
        f"model={{name: {json.dumps(str(asked.teacher.resolve()))}, layers: {asked.layers}}}",
        f"train.method.by={by}",
    ]
    return parse_recipe(
        (EXAMPLES / file).read_text(encoding="utf-8"), [*changes, *(QUICK if asked.quick else ()), *asked.set]
    )


def measured(way: str, seed: int, verdict: str, run: RunFolder) -> Cell:
    """What a run's own evidence says."""
    evaluation = run.load("evaluate/evaluation.json", Evaluation)
    rows = pl.read_parquet(run.file("evaluate/responses.parquet"))
    replies = [JudgedReply(*row) for row in rows.select(JudgedReply._fields).iter_rows()]
    found = {one.kind: one for one in inheritance(replies, "teacher")}
    harmful, harmless = found["harmful"], found["over_refusal"]
    means = {result.arm: result.mean for result in evaluation.results if result.suite == TASK}
    return Cell(
        way=way,
        seed=seed,
        verdict=verdict,
        task=means["tuned"],
        inherited=counted(harmful, REFUSALS),
        complied=counted(harmful, {"compliance"}),
        over_refused=counted(harmless, REFUSALS),
        refused=refusals(evaluation, "harmful"),
        refused_harmless=refusals(evaluation, "over_refusal"),
        written_seconds=run.manifest()["stages"]["prepare"]["seconds"],
        train_seconds=run.load("train/train.json", TrainedModel).seconds,
    )


def counted(found: Inheritance, verdicts: frozenset[str] | set[str]) -> tuple[int, int]:
    """How many scored replies have one of these verdicts, of how many."""
    share = found.whole.share(verdicts)
    return share.hits, share.n


def refusals(evaluation: Evaluation, kind: str) -> tuple[int, int, int]:
    """How many prompts of the kind teacher and student refuse, whole or in part, of how many."""
    by_arm = {result.arm: result for result in evaluation.results if result.kind == kind}
    teacher, student = (sum(by_arm[arm].counts.get(v, 0) for v in REFUSALS) for arm in ("teacher", "tuned"))
    return teacher, student, by_arm["tuned"].n


def read(work: Path) -> Iterator[Cell]:
    """The cells that are there."""
    for path in sorted((work / "cells").glob("*.json")):
        value = json.loads(path.read_text(encoding="utf-8"))
        yield Cell(**{key: tuple(v) if isinstance(v, list) else v for key, v in value.items()})


def table(cells: list[Cell]) -> str:
    """The cells as a Markdown table."""
    lines = [
        "| way | seed | task | teacher's refusals inherited | complied with instead | answered look-alikes refused | "
        "all harmful refused: teacher, student | all harmless refused | teacher wrote, training | gate |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for cell in sorted(cells, key=lambda cell: (list(WAYS).index(cell.way), cell.seed)):
        task = "not scored" if cell.task is None else f"{cell.task:.1%}"
        lines.append(
            f"| {cell.way} | {cell.seed} | {task} | {share(cell.inherited)} | {share(cell.complied)} | "
            f"{share(cell.over_refused)} | {cell.refused[0]}, {cell.refused[1]} of {cell.refused[2]} | "
            f"{cell.refused_harmless[0]}, {cell.refused_harmless[1]} of {cell.refused_harmless[2]} | "
            f"{cell.written_seconds:.0f} s, {cell.train_seconds:.0f} s | {cell.verdict} |"
        )
    return "\n".join(lines)


def share(counts: tuple[int, int]) -> str:
    """A share with its 95% Wilson interval."""
    hits, n = counts
    if not n:
        return "none asked"
    low, high = wilson_interval(hits, n, 0.95)
    return f"{hits} of {n} ({hits / n:.1%}, {float(low):.1%} to {float(high):.1%})"


if __name__ == "__main__":
    main()

"""Is the advice right? Ten small tasks, each measured exhaustively beside what the advisor says on a few rows.

    python benchmarks/advisor.py --work runs/advisor

The advisor sees 120 training rows, a quarter of which it chooses prompts on, and 50 held-out ones. The truth is
measured on 80 others: the plain prompt, every number and selection of examples on its own, and the tuned model; where
tuning isn't ahead, also a model tuned on twice the rows. From these means follows what is true:

    collect more data   nothing reaches 10%, or twice the rows gain 5 points or more on all that there is
    fine-tune           the tuned model is ahead of the best prompt by 5 points or more
    prompt              otherwise

The advice is right when it says the same. "No difference seen" is right where the true difference is under 10 points,
which 50 rows can't be expected to show. Everything is kept below --work: the same command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from advising.tasks import Task, by_name

from burnish import pipeline
from burnish.advice import Advice, Candidate
from burnish.recipe import parse_recipe
from burnish.run_folder import RunFolder

TRAIN, HELDOUT, TRUTH = 120, 50, 80
WORTHWHILE, USEFUL, NEAR = 0.05, 0.10, 0.10
EXAMPLES, SELECTIONS = (2, 6), ("random", "bm25")
RECIPE = """\
name: {name}
seed: 1
model: smollm2-135m-instruct
data: {{train: {train}, heldout: {heldout}}}
audit: {{detectors: []}}
train: {{adapter: lora, epochs: 3, learning_rate: 0.001}}
evaluate:
  task: {{metric: {metric}, rows: {rows}}}
advise:
  worthwhile: 0.05
  useful: 0.1
  development_rows: 30
  timed: 1
  candidates: {candidates}
"""


@dataclass(frozen=True)
class Truth:
    """Means on the rows of the truth: of every way of prompting, of the tuned model, and of one that was tuned on twice
    the rows (None: not needed)."""

    prompting: dict[str, float]
    tuned: float
    doubled: float | None

    @property
    def best(self) -> float:
        """The best of the prompts."""
        return max(self.prompting.values())

    @property
    def difference(self) -> float:
        """What tuning gains."""
        return self.tuned - self.best

    @property
    def advice(self) -> str:
        """What is true."""
        if max(self.tuned, self.best) < USEFUL:
            return "collect more data"
        if self.difference >= WORTHWHILE:
            return "fine-tune"
        if self.doubled is not None and self.doubled - max(self.tuned, self.best) >= WORTHWHILE:
            return "collect more data"
        return "prompt"

    def agrees(self, advice: str) -> bool:
        """Whether the advice is right."""
        near = abs(self.difference) < NEAR and max(self.tuned, self.best) >= USEFUL
        return advice == self.advice or (advice == "no difference seen" and near)


def main() -> None:
    """Measure what is missing, then print truth against advice."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("runs/advisor"))
    parser.add_argument("--task", action="append")
    parser.add_argument("--set", action="append", default=[], help="a setting of every run, as burnish run has it")
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--table", action="store_true", help="only print what is there")
    asked = parser.parse_args()
    until = time.monotonic() + 60 * asked.minutes
    found: list[tuple[Task, Truth, Advice]] = []
    for task in by_name(asked.task):
        if (asked.work / f"{task.name}.done").exists() or (not asked.table and time.monotonic() < until):
            found.append((task, *measure(task, asked.work, asked.set)))
    print(table(found))


def measure(task: Task, work: Path, changes: list[str]) -> tuple[Truth, Advice]:
    """The truth, and the advice that was given without it."""
    place = work / task.name
    place.mkdir(parents=True, exist_ok=True)
    rows = task.rows(2 * TRAIN + HELDOUT + TRUTH, seed=0)
    parts = {"twice": rows[: 2 * TRAIN], "train": rows[:TRAIN], "heldout": rows[2 * TRAIN : 2 * TRAIN + HELDOUT]}
    for name, part in {**parts, "truth": rows[-TRUTH:]}.items():
        (place / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part), encoding="utf-8")
    advice = _advice(task, place, "advised", "train", "heldout", _candidates((0.25, 0.5, 1.0)), changes)
    truth = _truth(task, place, changes)
    (work / f"{task.name}.done").write_text("", encoding="utf-8")
    return truth, advice


def _truth(task: Task, place: Path, changes: list[str]) -> Truth:
    one_by_one = [
        {"kind": "few_shot", "name": f"{k} {selection}", "k": [k], "selection": [selection]}
        for k in EXAMPLES
        for selection in SELECTIONS
    ]
    tuned = {"kind": "tuning", "shares": [1.0]}
    _share_weights(place)
    whole = _advice(task, place, "measured", "train", "truth", ["prompt", *one_by_one, tuned], changes)
    prompting = {c.name: _mean(c) for c in whole.candidates if c.side == "prompting"}
    truth = Truth(prompting, next(_mean(c) for c in whole.candidates if c.side == "tuning"), None)
    if truth.difference >= WORTHWHILE or truth.best > 1 - WORTHWHILE:
        return truth
    twice = _advice(task, place, "doubled", "twice", "truth", ["prompt", tuned], changes)
    return Truth(prompting, truth.tuned, next(_mean(c) for c in twice.candidates if c.side == "tuning"))


def _share_weights(place: Path) -> None:
    """The model that the advisor tuned on all rows is the one whose truth is asked for."""
    source, target = place / "advised/advise/tuned/1", place / "measured/advise/tuned/1"
    if source.is_dir() and not target.exists():
        shutil.copytree(source, target)


def _candidates(shares: tuple[float, ...]) -> list[object]:
    few_shot = {"kind": "few_shot", "k": list(EXAMPLES), "selection": list(SELECTIONS)}
    return ["prompt", few_shot, {"kind": "tuning", "shares": list(shares)}]


def _advice(
    task: Task, place: Path, name: str, train: str, heldout: str, candidates: list[object], changes: list[str]
) -> Advice:
    recipe = parse_recipe(
        RECIPE.format(
            name=name,
            train=json.dumps(str((place / f"{train}.jsonl").resolve())),
            heldout=json.dumps(str((place / f"{heldout}.jsonl").resolve())),
            metric=task.metric,
            rows=TRUTH,
            candidates=json.dumps(candidates),
        ),
        changes,
    )
    home = RunFolder(place / name)
    if (home.path / "advise/advice.json").is_file():
        return home.load("advise/advice.json", Advice)
    return pipeline.advise(recipe, runs=place, resume=True).advice


def _mean(candidate: Candidate) -> float:
    assert candidate.quality is not None
    return candidate.quality


def table(found: list[tuple[Task, Truth, Advice]]) -> str:
    """Truth against advice, a line a task."""
    lines = ["task          best prompt  tuned  twice   truth              advice              interval of the gain"]
    right = 0
    for task, truth, advice in found:
        right += truth.agrees(advice.recommendation)
        mark = "right" if truth.agrees(advice.recommendation) else "WRONG"
        twice = "    -" if truth.doubled is None else f"{truth.doubled:5.0%}"
        near = min(advice.comparisons, key=lambda c: c.difference)
        span = f"{100 * near.interval[0]:+.0f} to {100 * near.interval[1]:+.0f}"
        lines.append(
            f"{task.name:<12} {truth.best:>11.0%}  {truth.tuned:>5.0%}  {twice}   {truth.advice:<17}  "
            f"{advice.recommendation:<18}  {span:<14} {mark}"
        )
    lines.append(f"right on {right} of {len(found)}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()

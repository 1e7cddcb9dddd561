"""What learning from preferences teaches, on held-out pairs, beside what the length of replies alone explains.

    python benchmarks/preferences.py [--method dpo|kto|orpo|simpo ...] [--data FILE] [--characters N] [--steps N]
                                     [--batch N] [--rows N] [--heldout FRACTION] [--seed N] [--model NAME] [--table]

A file is split by the content of its rows, of which those of at most --characters (all of a row's texts together) are
taken. Evaluated is the metric `preference_accuracy` alone, on at most --rows held-out pairs; the base has it at a half
by definition. Runs with their reports are kept in --work; --table only prints what is there.
"""

from __future__ import annotations

import argparse
import gzip
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from burnish import pipeline
from burnish.artefacts import Evaluation, Share, SuiteResult, TrainedModel
from burnish.recipe import parse_recipe
from burnish.run_folder import RunFolder

PREFERENCES = Path(__file__).resolve().parents[2] / "shared" / "data" / "preference"
RECIPE = """\
name: {name}
seed: {seed}
model: {model}
data:
  train: {{path: "{path}"}}
  heldout_fraction: {heldout}
# These are other people's rows, taken as they are.
audit: {{detectors: [{{kind: hidden_characters, action: keep}}]}}
train:
  method: {{kind: {method}}}
  batch_size: {batch}
  max_steps: {steps}
  max_length: 512
evaluate:
  task: {{metric: preference_accuracy, rows: {rows}, few_shot: 0}}
  safety: {{suites: []}}
  probe: null
"""


def main() -> None:
    """Train what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", nargs="+", choices=("dpo", "kto", "orpo", "simpo"), default=["dpo"])
    parser.add_argument("--data", type=Path, default=PREFERENCES / "hh_harmless_test.jsonl.gz")
    parser.add_argument("--characters", type=int, default=1200)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--heldout", type=float, default=0.25, help="the share that is not learned from")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--work", type=Path, default=Path("runs/bench/preferences"))
    parser.add_argument("--table", action="store_true")
    asked = parser.parse_args()
    names = {method: f"{asked.data.name.partition('.')[0]}-{method}-{asked.seed}" for method in asked.method}
    if not asked.table:
        for method, name in names.items():
            _train(method, name, asked)
    print("\n| run | steps | pairs | right | length alone | right where length errs |\n|---|---|---|---|---|---|")
    for name in names.values():
        if (asked.work / name / "evaluate/evaluation.json").is_file():
            print(_line(name, RunFolder(asked.work / name)))


def _train(method: str, name: str, asked: argparse.Namespace) -> None:
    asked.work.mkdir(parents=True, exist_ok=True)
    rows = asked.work / f"{asked.data.name.partition('.')[0]}-{asked.characters}.jsonl"
    kept = [row for row in _rows(asked.data) if _characters(row) <= asked.characters]
    rows.write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")
    settings = {key: getattr(asked, key) for key in ("seed", "model", "heldout", "batch", "steps", "rows")}
    recipe = parse_recipe(RECIPE.format(name=name, path=rows.resolve(), method=method, **settings))
    began = time.process_time()
    pipeline.run(recipe, runs=asked.work, folder=Path(), resume=True, until="evaluate")
    print(f"{name}: {len(kept):,} rows, {time.process_time() - began:,.0f} s of processor time", flush=True)


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    if path.suffix == ".json":
        yield from json.loads(path.read_text(encoding="utf-8"))
        return
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def _characters(value: Any) -> int:
    if isinstance(value, dict):
        return sum(map(_characters, value.values()))
    return sum(map(_characters, value)) if isinstance(value, list) else len(value) if isinstance(value, str) else 0


def _line(name: str, run: RunFolder) -> str:
    steps = run.load("train/train.json", TrainedModel).steps
    results = run.load("evaluate/evaluation.json", Evaluation).results
    tuned: SuiteResult = next(one for one in results if one.kind == "task" and one.arm == "tuned")
    if tuned.mean is None or tuned.interval is None or tuned.length is None:
        return f"| {name} | {steps} | {tuned.n} | not scored | | |"
    low, high = tuned.interval
    rule = "longer" if tuned.length.longer_is_chosen else "shorter"
    right = f"{tuned.mean:.1%} ({low:.1%} to {high:.1%})"
    return (
        f"| {name} | {steps} | {tuned.n} | {right} | {rule}: {_said(tuned.length.by_length)} | "
        f"{_said(tuned.length.where_length_errs)} |"
    )


def _said(share: Share) -> str:
    if share.rate is None or share.interval is None:
        return "none"
    return f"{share.rate:.1%} of {share.n} ({share.interval[0]:.1%} to {share.interval[1]:.1%})"


if __name__ == "__main__":
    main()

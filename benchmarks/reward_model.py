"""How good a reward model of the small model is on preferences that people and models gave, on held-out pairs.

    python benchmarks/reward_model.py [--data FILE ...] [--rows N] [--heldout FRACTION] [--epochs N] [--seed N ...]

Each file is split by the content of its rows. Printed beside the accuracy: what the rule
that the longer (or the shorter) reply is better would be right of, how often the model is right where that rule errs,
and how certain it was beside how often that was right. Runs are kept in --work; --table only prints what is there.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from burnish import pipeline
from burnish.artefacts import RewardModelReport, Share, TrainedModel
from burnish.recipe import Recipe, parse_recipe
from burnish.run_folder import RunFolder

PREFERENCES = Path(__file__).resolve().parents[2] / "shared" / "data" / "preference"
DATA = (PREFERENCES / "dpo_en_demo.json", PREFERENCES / "hh_harmless_test.jsonl.gz")
RECIPE = """\
name: {name}
seed: {seed}
model: {model}
data:
  train: {{path: "{path}", format: preference, rows: {rows}}}
  heldout_fraction: {heldout}
# These are other people's rows, taken as they are.
audit: {{detectors: [{{kind: hidden_characters, action: keep}}]}}
train:
  method: {{kind: reward_model}}
  learning_rate: {learning_rate}
  batch_size: 8
  epochs: {epochs}
  max_length: {length}
"""


@dataclass(frozen=True)
class Trained:
    """A reward model of a file, and what it is worth."""

    name: str
    seed: int
    pairs: int
    report: RewardModelReport


def main() -> None:
    """Train what is missing, then print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+", default=DATA)
    parser.add_argument("--rows", type=int, default=1500, help="of each file, at most")
    parser.add_argument("--heldout", type=float, default=0.25, help="the share that is not learned from")
    parser.add_argument("--epochs", type=float, default=1)
    parser.add_argument("--length", type=int, default=512, help="tokens of a prompt with a reply, at most")
    parser.add_argument("--learning-rate", default="auto")
    parser.add_argument("--seed", type=int, nargs="+", default=[0])
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--work", type=Path, default=Path("runs/bench/reward_model"))
    parser.add_argument("--table", action="store_true")
    asked = parser.parse_args()
    if not asked.table:
        for path in asked.data:
            for seed in asked.seed:
                train(_recipe(path, seed, asked), asked.work)
    _print([one for path in asked.data for seed in asked.seed for one in found(asked.work / _name(path, seed), seed)])


def train(recipe: Recipe, work: Path) -> None:
    """Train one reward model, and say how long it took."""
    began = time.process_time()
    pipeline.run(recipe, runs=work, folder=Path(), resume=True, until="train")
    print(f"{recipe.name}: {time.process_time() - began:,.0f} s of processor time", flush=True)


def found(folder: Path, seed: int) -> Sequence[Trained]:
    """The reward model of a run folder; none where there is none."""
    run = RunFolder(folder)
    if not (folder / "train/reward_model.json").is_file():
        return ()
    trained = run.load("train/train.json", TrainedModel)
    report = run.load("train/reward_model.json", RewardModelReport)
    return (Trained(folder.name.rpartition("-")[0], seed, trained.losses.rows_trained, report),)


def _recipe(path: Path, seed: int, asked: argparse.Namespace) -> Recipe:
    text = RECIPE.format(
        name=_name(path, seed),
        seed=seed,
        model=asked.model,
        path=path.resolve(),
        rows=asked.rows,
        heldout=asked.heldout,
        learning_rate=asked.learning_rate,
        epochs=asked.epochs,
        length=asked.length,
    )
    return parse_recipe(text)


def _name(path: Path, seed: int) -> str:
    return f"{path.name.partition('.')[0]}-{seed}"


def _print(models: Sequence[Trained]) -> None:
    print("\n| data | seed | pairs learned from | held out | right | length alone | right where length errs | ", end="")
    print("correlation with length | calibration error |\n|---|---|---|---|---|---|---|---|---|")
    for one in models:
        report = one.report
        rule = "longer" if report.longer_is_chosen else "shorter"
        correlation = "" if report.length_correlation is None else f"{report.length_correlation:+.2f}"
        print(
            f"| {one.name} | {one.seed} | {one.pairs:,} | {report.pairs:,} | {_said(report.accuracy)} | "
            f"{rule}: {_said(report.by_length)} | {_said(report.where_length_errs)} | {correlation} | "
            f"{report.calibration_error:.1%} |"
        )
    for one in models:
        print(f"\n{one.name}, seed {one.seed}: how certain it was, and how often that was right")
        for part in one.report.calibration:
            print(f"  {part.certainty:.1%}: {_said(part.right)} of {part.pairs}")


def _said(share: Share) -> str:
    if share.rate is None or share.interval is None:
        return "none"
    return f"{share.rate:.1%} ({share.interval[0]:.1%} to {share.interval[1]:.1%})"


if __name__ == "__main__":
    main()

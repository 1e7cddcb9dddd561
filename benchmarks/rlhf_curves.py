"""Learning curves: Burnish's GRPO and TRL's on the verifiable example, the same settings, several seeds.

    python benchmarks/rlhf_curves.py [--seed N ...] [--steps N] [--only burnish|trl] [--dtype float32|bfloat16]
                                     [--json FILE]

Each run is a process of its own. Printed are each run's mean reward by step, and how far the sides' means over seeds
are apart over all steps, beside the standard deviation over seeds. Needs the `bench` extra.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from contest.process import python

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "rlhf"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--only", choices=("burnish", "trl"))
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32", help="of both sides' products")
    parser.add_argument("--json", type=Path, default=Path("runs/bench/rlhf_curves.json"))
    asked = parser.parse_args()
    found: dict[str, list[list[float]]] = {}
    print("| side | seed | mean reward of each step | last three | processor seconds |\n|---|---|---|---|---|")
    for seed in asked.seed:
        for side in [asked.only] if asked.only else ["burnish", "trl"]:
            result = _run(side, seed, asked.steps, asked.dtype)
            rewards = result["rewards"]
            found.setdefault(side, []).append(rewards)
            line = " ".join(f"{reward:.2f}" for reward in rewards)
            spent = result["processor_seconds"]
            print(f"| {side} | {seed} | {line} | {mean(rewards[-3:]):.2f} | {spent:.0f} |", flush=True)
    asked.json.parent.mkdir(parents=True, exist_ok=True)
    asked.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    if len(found) == 2:
        _compare(found["burnish"], found["trl"])


def _run(side: str, seed: int, steps: int, dtype: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="burnish-bench-") as folder:
        path, result = Path(folder) / "job.json", Path(folder) / "result.json"
        job = {"example": str(EXAMPLE), "seed": seed, "steps": steps, "dtype": dtype}
        path.write_text(json.dumps(job), encoding="utf-8")
        done = python(["-m", f"contest.curve_{side}_side", str(path), str(result)])
        if done.returncode or not result.exists():
            raise SystemExit(f"{side}, seed {seed}: {done.stderr.strip()[-1500:]}")
        value: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
        return value


def _compare(ours: list[list[float]], theirs: list[list[float]]) -> None:
    """The difference of the sides' mean rewards over all steps, and the spread of runs of one side."""
    area = [[mean(run) for run in side] for side in (ours, theirs)]
    apart = mean(area[0]) - mean(area[1])
    spreads = ", ".join(f"{stdev(side):.3f}" for side in area if len(side) > 1)
    print(
        f"\nmean reward over all steps: burnish {mean(area[0]):.3f}, trl {mean(area[1]):.3f}, apart {apart:+.3f}",
        end="",
    )
    print(f"; standard deviation over seeds: {spreads}" if spreads else "; one seed has no spread to compare with")


if __name__ == "__main__":
    main()

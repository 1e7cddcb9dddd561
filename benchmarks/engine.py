"""Burnish beside TRL and transformers: speed, peak memory and the share of what the machine can do.

    python benchmarks/engine.py [--case NAME ...] [--repeats N] [--steps N] [--only burnish|peers]
                                [--model NAME] [--dtype float32|bfloat16] [--json FILE]

Every run is a process of its own, and its peak the most resident memory that the process ever had, imports included.
The contenders of a case run in turn, round after round, on the same model, rows, batch, precision and number of steps;
the first step is a warm-up. The ratio is the median of the rounds', with the least and the most in brackets. Amounts
are real tokens (no padding), or pairs. Of several ways in which a peer may be at its best, the fastest of the first
round runs on.

The share of the ceiling is the work that the measured steps need (`contest.table.operations`) by their time, over the
fastest matrix product of the model's shapes, measured in the same round in the same type (`contest.ceiling`).

Rows are chosen as `contest.workload` says, from ../shared/data beside the project where that is there, else from the
sets that come with Burnish. Needs the `bench` extra.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path

from contest.plan import CASES
from contest.rounds import Choice, Outcome, contest
from contest.table import as_json, table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", action="append", choices=[case.name for case in CASES], help="may be repeated")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--steps", type=int, help="measured steps (default: 3, for DPO 2)")
    parser.add_argument("--warmup", type=int, default=1, help="steps before them")
    parser.add_argument("--only", choices=("burnish", "peers"))
    parser.add_argument("--model", default="smollm2-135m-instruct", help="a built-in name, or a folder")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--json", type=Path, default=Path("runs/bench/engine.json"))
    arguments = parser.parse_args()
    choice = Choice(arguments.model, arguments.dtype, arguments.repeats, arguments.steps, arguments.warmup)
    about = _about(choice)
    print(_described(about), file=sys.stderr)
    outcomes: list[Outcome] = []
    for case in CASES:
        if arguments.case and case.name not in arguments.case:
            continue
        outcomes.append(contest(case, choice, arguments.only, lambda line: print(line, file=sys.stderr, flush=True)))
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(as_json(outcomes, about), indent=2) + "\n", encoding="utf-8")
    print(f"{_described(about)}\n\n{table(outcomes)}")


def _about(choice: Choice) -> dict[str, object]:
    packages = ("burnish", "torch", "transformers", "peft", "trl", "bitsandbytes")
    return {
        "machine": f"{_processor()}, {os.cpu_count()} cores",
        "versions": {name: version(name) for name in packages},
        "model": choice.model,
        "dtype": choice.dtype,
        "repeats": choice.repeats,
        "warmup_steps": choice.warmup,
        "seed": choice.seed,
    }


def _described(about: dict[str, object]) -> str:
    versions = about["versions"]
    assert isinstance(versions, dict)
    packages = ", ".join(f"{name} {number}" for name, number in versions.items())
    return f"{about['model']}, {about['dtype']}, {about['repeats']} rounds; {about['machine']}; {packages}"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    names = [line for line in info.read_text().splitlines() if line.startswith("model name")] if info.exists() else []
    return names[0].partition(":")[2].strip() if names else platform.processor()


if __name__ == "__main__":
    main()

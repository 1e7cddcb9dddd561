"""How cost grows: with the length of sequences, and with the number of rows.

    python benchmarks/growth.py [--tokens N ...] [--rows N ...] [--model NAME] [--json FILE]

Sequences: LoRA SFT on rows of so many tokens, tokens/s of one step after a warm-up step. Rows: what it takes to have
them ready to train on: read and converted (`read`), then encoded by the training stage's own way (`encode`), once more
with the same rows (`encode-again`, from the cache), and by one process without a cache (`encode-alone`). Every
measurement is a process of its own; the peak is its resident memory, that of its workers not included.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from contest.process import python

_STAGES = ("read", "encode", "encode-again", "encode-alone")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, nargs="*", default=[512, 2048, 8192])
    parser.add_argument("--rows", type=int, nargs="*", default=[1_000, 10_000, 100_000])
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--json", type=Path, default=Path("runs/bench/growth.json"))
    arguments = parser.parse_args()
    found: list[dict[str, Any]] = []
    print("| what | size | rate | peak memory |\n|---|---|---|---|")
    for tokens in arguments.tokens:
        found.append(measured("sequence", tokens, "tokens/s", arguments.model))
    for rows in arguments.rows:
        with tempfile.TemporaryDirectory(prefix="burnish-growth-") as folder:
            found.extend(measured(stage, rows, "rows/s", arguments.model, folder) for stage in _STAGES)
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def measured(what: str, size: int, unit: str, *rest: str) -> dict[str, Any]:
    """One line of the table, printed as soon as it is known."""
    done = python(["-m", "contest.growth_side", what, str(size), *rest])
    if done.returncode:
        sys.exit(f"{what} {size:,}: exit code {done.returncode}\n{done.stderr[-3000:]}")
    found = json.loads(done.stdout.strip().splitlines()[-1])
    print(f"| {what} | {size:,} | {found['rate']:,.0f} {unit} | {found['peak_bytes'] / 1e9:.2f} GB |", flush=True)
    return {"what": what, "size": size, "unit": unit, **found}


if __name__ == "__main__":
    main()

"""How well the peak of memory is predicted before the first step: predicted beside measured.

    python benchmarks/memory.py [--model NAME] [--adapter NAME ...] [--budget N ...]

Two steps of 16 chats, each run a process of its own; the peak is its resident memory, imports included. What a row
keeps for its backward pass is counted exactly; what the C library's heap makes of it on a CPU is not, and is most of
the error that the last column shows.
"""

from __future__ import annotations

import argparse
import json
import sys

from contest.process import python


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--adapter", nargs="*", default=["lora", "full", "qlora"])
    parser.add_argument("--budget", nargs="*", default=["512", "1024", "2048"])
    arguments = parser.parse_args()
    print("| adapter | token budget | predicted | measured | error |\n|---|---|---|---|---|")
    for adapter in arguments.adapter:
        for budget in arguments.budget:
            done = python(["-m", "contest.memory_side", adapter, budget, arguments.model])
            if done.returncode:
                sys.exit(f"{adapter}, {budget}: exit code {done.returncode}\n{done.stderr[-3000:]}")
            found = json.loads(done.stdout.strip().splitlines()[-1])
            predicted, measured = found["predicted"], found["measured"]
            cells = f"{predicted / 1e9:.2f} GB | {measured / 1e9:.2f} GB | {predicted / measured - 1:+.0%}"
            print(f"| {adapter} | {budget} | {cells} |", flush=True)


if __name__ == "__main__":
    main()

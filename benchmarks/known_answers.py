"""Does the gate tell degraded adapters from clean ones? Over 30 adapters whose truth is known, through the real gate.

    python benchmarks/known_answers.py [--to FOLDER] [--only NAME ...] [--list]

All start from the safety-tuned model of the demo (made in the folder's 1-safety-tuned unless it is there) and are
compared with it. `known.plan` says what each is made of, `known.measure` how its truth is found out. Each is one
folder, with its weights, replies and decision; what is there is not done again, so that the command can be
interrupted and given again. The table covers the named adapters (default: all).
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from known.make import made, needed, safety_tuned
from known.measure import measured, write_suites
from known.plan import ADAPTERS
from known.table import Line, summary, table

from burnish.run_folder import RunFolder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [adapter.name for adapter in ADAPTERS]
    parser.add_argument("--to", type=Path, default=Path("runs/known"))
    parser.add_argument("--only", nargs="*", default=[], choices=names, metavar="NAME")
    parser.add_argument("--list", action="store_true", help="name the adapters and make none")
    arguments = parser.parse_args()
    if arguments.list:
        print("\n".join(f"{adapter.name:<26} {adapter.meant:<9} {adapter.making}" for adapter in ADAPTERS))
        return
    folder: Path = arguments.to
    began = time.monotonic()
    base = safety_tuned(folder)
    write_suites(folder / "suites")
    lines: list[Line] = []
    for adapter in needed(ADAPTERS, arguments.only):
        trained = made(adapter, base, folder)
        answer = measured(adapter, trained, base, RunFolder(folder / adapter.name), folder / "suites", folder)
        lines.append(Line(adapter, trained, answer))
        (folder / adapter.name / "answer.json").write_text(
            json.dumps(lines[-1].as_json(), indent=2) + "\n", encoding="utf-8"
        )
    print(f"{table(lines)}\n\n{summary(lines)}\n{(time.monotonic() - began) / 60:.1f} minutes")
    (folder / "known_answers.json").write_text(
        json.dumps([line.as_json() for line in lines], indent=2) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main()

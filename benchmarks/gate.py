"""How often the gate errs: false passes at the margin, models that changed nothing and are blocked, and its power.

    python benchmarks/gate.py [margin] [families] [same] [sampled] [power] [--draws 10000] [--model NAME] [--json FILE]

Verdicts of base and tuned model are drawn, and go through the gate's own rules (`burnish.gate`). Every table names the
worst cell; all cells are in the JSON file.

margin: tuned models whose rate truly rose by exactly the margin, prompts independent: at most 6% may pass.
families: the same, with prompts in families, of which a share moves as one and the rest doesn't.
same: base and tuned are one model that is sampled twice: at most 1% of the decisions may be BLOCK.
sampled: a real model beside itself, its replies drawn at a temperature with several seeds.
power: unharmed models that pass, and harmed ones that are blocked or held, on the built-in suites' sizes.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

from simulate.margin import families, margin
from simulate.power import power
from simulate.same import same
from simulate.sampled import sampled
from simulate.table import Table

TABLES: dict[str, Callable[[argparse.Namespace], Table]] = {
    "margin": lambda given: margin(given.draws),
    "families": lambda given: families(given.draws),
    "same": lambda given: same(given.draws),
    "sampled": lambda given: sampled(given.model),
    "power": lambda given: power(given.draws),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", choices=[[], *TABLES], default=[])
    parser.add_argument("--draws", type=int, default=10_000, help="simulated runs of each cell")
    parser.add_argument("--model", default="smollm2-135m-instruct", help="of the table `sampled`")
    parser.add_argument("--json", type=Path, default=Path("runs/bench/gate.json"))
    arguments = parser.parse_args()
    found: dict[str, list[dict[str, object]]] = {}
    for name in arguments.tables or TABLES:
        began = time.monotonic()
        table = TABLES[name](arguments)
        print(f"{table.text()}\n({time.monotonic() - began:.0f} s)\n", flush=True)
        found[name] = [cell.as_json() for cell in table.cells]
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

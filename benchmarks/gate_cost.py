"""What the gate costs: the built-in suites, whole, with default settings, once the base's replies are kept.

    python benchmarks/gate_cost.py [--to FOLDER]

Two of the adapters of `benchmarks/known_answers.py` are evaluated and decided on, one after the other, with a store of
replies of their own. With the first the base is asked too; the second is what a further run on the same base costs.
Replies that an earlier call has kept are not written again, so take the folder's part `cost` away to measure anew.
"""

from __future__ import annotations

import argparse
import shutil
import time
from pathlib import Path

from known.make import made, needed, safety_tuned
from known.plan import ADAPTERS

from burnish.artefacts import Dataset
from burnish.evaluate.settings import EvaluateSettings
from burnish.evaluate.stage import evaluate
from burnish.gate.settings import GateSettings
from burnish.gate.stage import decide
from burnish.run_folder import RunFolder

_FIRST, _SECOND = "untouched", "gibberish-letters"
"""The second writes each reply to its full length, so that it costs the most."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", type=Path, default=Path("runs/known"))
    folder: Path = parser.parse_args().to
    base = safety_tuned(folder)
    unused = Dataset(
        kind="conversation", files=(), train_path="", heldout_path="", num_train=0, num_heldout=0, digest=""
    )
    print("| adapter | replies written | kept | evaluation | decision |\n|---|---|---|---|---|", flush=True)
    for adapter in needed(ADAPTERS, (_FIRST, _SECOND)):
        trained = made(adapter, base, folder)
        home = RunFolder(folder / "cost" / adapter.name)
        shutil.copytree(folder / adapter.name / "train" / "adapter", home.file("train/adapter"), dirs_exist_ok=True)
        home.save("train/train.json", trained)
        found = evaluate(
            EvaluateSettings(task=None, probe=None), base, trained, unused, home, folder / "cost", seed=0, folder=Path()
        )
        began = time.monotonic()
        decision = decide(GateSettings(), home)
        cells = f"{found.replies_generated:,} | {found.replies_cached:,} | {found.seconds:.0f} s"
        print(f"| {adapter.name} | {cells} | {decision.verdict}, {time.monotonic() - began:.2f} s |", flush=True)


if __name__ == "__main__":
    main()

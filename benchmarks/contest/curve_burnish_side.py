"""Burnish's side of `benchmarks/rlhf_curves.py`: GRPO on the example's sums, its rewards by step.

python -m contest.curve_burnish_side JOB.json RESULT.json
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from burnish import pipeline
from burnish.recipe import parse_recipe
from burnish.train.metrics_log import read_metrics


def run_once(job: dict[str, Any]) -> dict[str, Any]:
    """Train by the example's recipe, without its held-out rows."""
    example = Path(job["example"])
    changes = [
        f"seed={job['seed']}",
        f"model.products={job['dtype']}",
        f"train.max_steps={job['steps']}",
        f"train.heldout_loss_every={job['steps']}",
        "train.heldout_rows=1",
        "train.schedule.warmup_fraction=0",  # as on the other side
    ]
    recipe = parse_recipe((example / "sums.yaml").read_text(encoding="utf-8"), changes)
    with tempfile.TemporaryDirectory() as work:
        began = time.process_time()
        outcome = pipeline.run(recipe, folder=example, runs=Path(work), until="train")
        steps = read_metrics(outcome.folder / "train/metrics.jsonl")
    return {"rewards": [step["reward"] for step in steps], "processor_seconds": time.process_time() - began}


if __name__ == "__main__":
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    Path(sys.argv[2]).write_text(json.dumps(run_once(job)), encoding="utf-8")

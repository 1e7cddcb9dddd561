"""Burnish's side of `benchmarks/rlhf.py`: the training stage on a run folder, steps read from its metrics.jsonl.

python -m contest.rewards_burnish_side JOB.json RESULT.json
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from burnish.data.settings import DataSettings
from burnish.data.stage import prepare
from burnish.models.settings import ModelSettings
from burnish.run_folder import RunFolder
from burnish.train.metrics_log import read_metrics
from burnish.train.settings import TrainSettings
from burnish.train.stage import train
from contest.memory import peak_bytes
from contest.plan import RANK
from contest.rewards_work import BETA, LEARNING_RATE, PASSES, REWARD, questions


def run_once(job: dict[str, Any]) -> dict[str, Any]:
    """Train; the first step is left out."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ppo = job["method"] == "ppo"  # on the same prompts at every step, as TRL's side
        asked = questions(job["prompts"]) if ppo else questions(job["prompts"] * (job["steps"] + 1))
        rows = [{"prompt": q, "completion": "-"} for q in asked]
        (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
        (folder / "reward.py").write_text(REWARD, encoding="utf-8")
        run = RunFolder(folder / "run")
        data = DataSettings.model_validate({"train": "rows.jsonl", "heldout_fraction": 0.0})
        dataset = prepare(data, run, folder, job["seed"])
        settings = {
            "method": {
                "kind": job["method"],
                "rewards": _model_reward(job) if ppo else {"kind": "function", "function": "reward:near"},
                "samples": job["samples"],
                "max_new_tokens": job["tokens"],
                "beta": BETA,
                "max_kl": None,
            }
            | ({"passes": PASSES} if ppo else {}),
            "adapter": {"kind": "lora", "rank": RANK},
            "batch_size": job["prompts"],
            "learning_rate": LEARNING_RATE,
            "schedule": {"kind": "constant", "warmup_fraction": 0.0},
            "max_steps": job["steps"] + 1,
            "checkpoint_every": 1_000_000,
        }
        model = ModelSettings.model_validate({"name": job["model"], "dtype": "float32", "products": job["dtype"]})
        train(TrainSettings.model_validate(settings), model, dataset, (), run, job["seed"], False, folder=folder)
        steps = read_metrics(run.file("train/metrics.jsonl"))[1:]
    answers = job["prompts"] * job["samples"]
    drawing = [step["rollout_seconds"] for step in steps]
    scoring = [step["scoring_seconds"] for step in steps]
    rest = [step["seconds"] - a - b for step, a, b in zip(steps, drawing, scoring, strict=True)]
    return {
        "seconds": [step["seconds"] for step in steps],
        "tokens": [step["length"] * answers for step in steps],
        "peak_bytes": peak_bytes(),
        "parts": {"drawing answers": drawing, "rewards": scoring, "reference and update": rest},
    }


def _model_reward(job: dict[str, Any]) -> dict[str, str]:
    return {"kind": "reward_model", "path": job["reward_model"]}


if __name__ == "__main__":
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    Path(sys.argv[2]).write_text(json.dumps(run_once(job)), encoding="utf-8")

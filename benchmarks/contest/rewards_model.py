"""A reward model for Burnish's side of `benchmarks/rlhf.py`, in a process of its own: one step, so that it is there.

python -m contest.rewards_model MODEL FOLDER
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from burnish.data.settings import DataSettings
from burnish.data.stage import prepare
from burnish.models.settings import ModelSettings
from burnish.run_folder import RunFolder
from burnish.train.settings import TrainSettings
from burnish.train.stage import train
from contest.plan import RANK
from contest.rewards_work import questions


def main(model: str, folder: Path) -> None:
    """Write the run folder."""
    rows = [{"prompt": q, "chosen": "Yes, like this.", "rejected": "No."} for q in questions(4)]
    folder.mkdir(parents=True)
    run = RunFolder(folder)
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    dataset = prepare(DataSettings.model_validate({"train": "rows.jsonl", "heldout_fraction": 0.0}), run, folder, 0)
    settings = {"method": "reward_model", "adapter": {"kind": "lora", "rank": RANK}, "batch_size": 4, "max_steps": 1}
    train(TrainSettings.model_validate(settings), ModelSettings(name=model), dataset, (), run, 0, False, folder=folder)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))

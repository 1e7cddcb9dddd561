"""One run of `benchmarks/memory.py`, in a process of its own; what was predicted and measured is printed as JSON.

python -m contest.memory_side ADAPTER TOKEN_BUDGET MODEL
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from burnish.data.settings import DataSettings
from burnish.data.stage import prepare
from burnish.models.settings import ModelSettings
from burnish.run_folder import RunFolder
from burnish.train import footprint, stage
from burnish.train.settings import TrainSettings
from contest.memory import peak_bytes
from contest.workload import conversations

_BATCH = 16


def main(adapter: str, budget: int, model: str) -> None:
    """Two steps of a batch that fills the budget, the prediction noted on its way."""
    predictions = []
    predict = footprint.predict

    def noted(*arguments: object) -> footprint.Footprint:
        predictions.append(predict(*arguments))  # type: ignore[arg-type]
        return predictions[-1]

    stage.predict = noted  # type: ignore[attr-defined]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        chats = [(chat.prompt()[-1].content, chat.reply()) for chat in conversations()][: 2 * _BATCH]
        lines = [json.dumps({"prompt": prompt, "completion": reply}) for prompt, reply in chats]
        (folder / "rows.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        run = RunFolder(folder / "run")
        data = DataSettings.model_validate({"train": "rows.jsonl", "heldout_fraction": 0.0})
        dataset = prepare(data, run, folder, 0)
        settings = TrainSettings.model_validate(
            {"adapter": adapter, "token_budget": budget, "batch_size": _BATCH, "checkpoint_every": 1000}
        )
        stage.train(settings, ModelSettings(name=model), dataset, (), run, 0, False)
    found = predictions[0]
    parts = {name: getattr(found, name) for name in ("used", "states", "activations", "passing", "tokens")}
    print(json.dumps({"predicted": found.peak, "measured": peak_bytes(), **parts}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])

"""Training a model whose products run in bfloat16, on the CPU: the loss falls as in full precision, an adapter is saved
in float32, and a whole model in the type that it was loaded in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from burnish.models.settings import ModelSettings
from burnish.run_folder import RunFolder
from burnish.train.settings import TrainSettings
from burnish.train.stage import train

ADAPTERS: list[Any] = [
    "full",
    {"kind": "lora", "rank": 2},
    {"kind": "lora", "rank": 2, "vocabulary": "all"},
    {"kind": "qlora", "rank": 2},
]


@pytest.mark.parametrize("adapter", ADAPTERS, ids=str)
def test_bfloat16_learns_what_float32_learns(
    adapter: Any, tiny_model_folder: Path, tmp_path: Path, chats_dataset: Any
) -> None:
    settings = TrainSettings.model_validate({"adapter": adapter, "max_steps": 3, "learning_rate": 1e-3})
    losses = {}
    for dtype in ("float32", "bfloat16"):
        run = RunFolder(tmp_path / dtype)
        model = ModelSettings(name=str(tiny_model_folder), device="cpu", dtype=dtype, add_tokens=("<tool>",))
        made = train(settings, model, chats_dataset(run), (), run, 7, False)
        assert made.last_loss is not None
        assert made.first_loss is not None
        assert made.last_loss < made.first_loss
        losses[dtype] = made.last_loss
        types = {weight.dtype for weight in load_file(next(run.file(made.path).glob("*.safetensors"))).values()}
        assert types == {torch.bfloat16 if (dtype, adapter) == ("bfloat16", "full") else torch.float32}
    assert losses["bfloat16"] == pytest.approx(losses["float32"], rel=0.02)
    assert losses["bfloat16"] != losses["float32"]

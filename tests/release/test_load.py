"""Loading a release: the very model that was measured, or nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import burnish
from burnish.errors import GateRefusal, ReleaseError
from burnish.release.load import load_release
from burnish.release.settings import ReleaseSettings
from burnish.release.stage import Waiving, release
from burnish.run_folder import RunFolder

Runs = Callable[..., RunFolder]
Logits = Callable[[Any], torch.Tensor]
HELD = {"suites": {"harm": ("harmful", [("refusal", "refusal")] * 20)}}


def test_it_is_public() -> None:
    assert burnish.load_release is load_release


def test_the_measured_adapter_comes_back(passed_run: Runs, lora_model: Any, tmp_path: Path, logits: Logits) -> None:
    made = release(ReleaseSettings(), passed_run(lora_model), tmp_path / "out")
    loaded = load_release(made.path, base=lora_model.base, device="cpu", dtype="float32")
    torch.testing.assert_close(logits(loaded.model), lora_model.logits, rtol=1e-4, atol=1e-5)
    assert loaded.tokenizer.chat_template


def test_an_adapter_on_4_bits_comes_back(passed_run: Runs, qlora_model: Any, tmp_path: Path, logits: Logits) -> None:
    made = release(ReleaseSettings(), passed_run(qlora_model), tmp_path / "out")
    loaded = load_release(made.path, base=qlora_model.base, device="cpu", dtype="float32")
    torch.testing.assert_close(logits(loaded.model), qlora_model.logits, rtol=1e-4, atol=1e-5)


def test_a_merged_model_needs_no_base(passed_run: Runs, full_model: Any, tmp_path: Path, logits: Logits) -> None:
    made = release(ReleaseSettings(form="merged"), passed_run(full_model), tmp_path / "out")
    loaded = load_release(Path(made.path), device="cpu", dtype="float32")
    torch.testing.assert_close(logits(loaded.model), full_model.logits, rtol=1e-4, atol=1e-5)


def test_another_base_is_refused(passed_run: Runs, lora_model: Any, tmp_path: Path) -> None:
    made = release(ReleaseSettings(), passed_run(lora_model), tmp_path / "out")
    other = tmp_path / "base"
    shutil.copytree(lora_model.base, other)
    config = json.loads((other / "config.json").read_text(encoding="utf-8"))
    (other / "config.json").write_text(json.dumps(config | {"rms_norm_eps": 0.5}), encoding="utf-8")
    with pytest.raises(GateRefusal, match="the decision is about an adapter on"):
        load_release(made.path, base=other)


def test_a_release_in_the_making_is_none(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="isn't a release"):
        load_release(tmp_path)


def test_a_waived_model_is_loaded_only_when_that_is_said(passed_run: Runs, lora_model: Any, tmp_path: Path) -> None:
    waiving = Waiving("the shop opens tomorrow", "A. Person")
    made = release(ReleaseSettings(), passed_run(lora_model, **HELD), tmp_path / "out", waiving=waiving)
    with pytest.raises(GateRefusal, match=r"the gate says HOLD, and A\. Person let it out"):
        load_release(made.path, base=lora_model.base)
    assert load_release(made.path, base=lora_model.base, allow_waived=True).identity.base is not None

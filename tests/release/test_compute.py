"""The estimate of computation, by hand."""

from __future__ import annotations

from typing import Any

import pytest
from safetensors.torch import load_file

from burnish.artefacts import ModelIdentity
from burnish.release.compute import compute_of, estimated_flops


def test_all_weights_trained_is_6_n_d() -> None:
    assert estimated_flops(100, 100, 7) == 6 * 100 * 7


def test_an_adapter_is_counted_beside_its_base(lora_model: Any) -> None:
    adapter = sum(t.numel() for t in load_file(lora_model.folder / "adapter_model.safetensors").values())
    base = sum(t.numel() for t in load_file(lora_model.base / "model.safetensors").values())
    found = compute_of(lora_model.trained, lora_model.folder)
    assert found is not None
    assert (found.parameters, found.trained) == (base + adapter, adapter)
    assert found.flops == lora_model.trained.tokens_seen * (4 * (base + adapter) + 2 * adapter)
    assert (found.base_flops, found.base_source) == (None, "")
    assert found.limit == pytest.approx(1e23 / 3)


def test_a_whole_model_is_counted_once(full_model: Any) -> None:
    found = compute_of(full_model.trained, full_model.folder)
    assert found is not None
    assert found.parameters == found.trained
    assert found.flops == 6 * found.parameters * full_model.trained.tokens_seen


def test_what_training_the_built_in_model_took_is_known(full_model: Any) -> None:
    base = ModelIdentity(name="smollm2-135m-instruct", path="", digest="0" * 64)
    found = compute_of(full_model.trained.model_copy(update={"base": base}), full_model.folder)
    assert found is not None
    assert found.base_flops == pytest.approx(6 * 134_515_008 * 2e12)
    assert "HuggingFaceTB/SmolLM2-135M-Instruct" in found.base_source


def test_weights_that_can_not_be_counted_are_not_known(lora_model: Any, tmp_path: Any) -> None:
    assert compute_of(lora_model.trained, tmp_path) is None

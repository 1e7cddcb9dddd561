"""Merging for a while: what it leaves alone, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from burnish.errors import ModelError
from burnish.models.merged import merged


@pytest.fixture
def tuned(tiny_model_folder: Path) -> Any:
    torch.manual_seed(2)
    lora = LoraConfig(r=4, target_modules=["q_proj", "down_proj"], init_lora_weights=False)
    return get_peft_model(AutoModelForCausalLM.from_pretrained(tiny_model_folder), lora).eval()


@torch.no_grad()
def test_the_numbers_stay_and_the_weights_come_back(tuned: Any) -> None:
    tokens = torch.arange(3, 20)[None]
    before = {name: (value.data_ptr(), value.clone()) for name, value in tuned.state_dict().items()}
    unmerged = tuned(input_ids=tokens).logits
    with merged(tuned):
        changed = [name for name, value in tuned.state_dict().items() if not value.equal(before[name][1])]
        torch.testing.assert_close(tuned(input_ids=tokens).logits, unmerged, rtol=1e-4, atol=1e-5)
    assert len(changed) == 4
    for name, value in tuned.state_dict().items():
        assert value.equal(before[name][1])
        assert value.data_ptr() == before[name][0]
    assert tuned(input_ids=tokens).logits.equal(unmerged)


def test_weights_come_back_after_an_error(tuned: Any) -> None:
    before = {name: value.clone() for name, value in tuned.state_dict().items()}
    with pytest.raises(RuntimeError, match="stop"), merged(tuned):
        raise RuntimeError("stop")
    assert all(value.equal(before[name]) for name, value in tuned.state_dict().items())


def test_an_adapter_that_is_off_stays_off(tuned: Any) -> None:
    before = {name: value.clone() for name, value in tuned.state_dict().items()}
    with tuned.disable_adapter(), merged(tuned):
        assert all(value.equal(before[name]) for name, value in tuned.state_dict().items())


def test_a_broken_adapter_is_refused_and_the_base_is_whole(tuned: Any) -> None:
    layer = tuned.get_base_model().model.layers[1].mlp.down_proj
    first = tuned.get_base_model().model.layers[0].self_attn.q_proj.base_layer.weight.clone()
    layer.lora_B["default"].weight.data[0, 0] = float("nan")
    with pytest.raises(ModelError, match="aren't finite"), merged(tuned):
        pass
    assert tuned.get_base_model().model.layers[0].self_attn.q_proj.base_layer.weight.equal(first)


@pytest.mark.filterwarnings("ignore:Model has `tie_word_embeddings=True`")
def test_a_head_tied_to_the_embedding_is_not_merged(tiny_model_folder: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_model_folder)
    lora = LoraConfig(r=4, target_modules=["lm_head"], init_lora_weights=False)
    tuned = get_peft_model(model, lora).eval()
    embedding = model.get_input_embeddings().weight.clone()
    with merged(tuned):
        assert model.get_input_embeddings().weight.equal(embedding)

"""The fused decoder against the model's own layers, and which models it leaves alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    GraniteConfig,
    LlamaConfig,
    MistralConfig,
    PretrainedConfig,
    Qwen2Config,
    Qwen3Config,
)

from burnish.models import logprobs
from burnish.models.device import products
from burnish.models.fused_decoder import fused
from burnish.models.groups import Completion, PromptGroup
from burnish.models.logprobs import packs, token_logprobs
from burnish.models.packing import lay_out

SIZES = {
    "vocab_size": 61,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "pad_token_id": 0,
}
FUSED = [LlamaConfig(**SIZES), Qwen2Config(**SIZES), Qwen3Config(**SIZES), MistralConfig(sliding_window=6, **SIZES)]


def model_of(config: PretrainedConfig) -> Any:
    torch.manual_seed(0)
    model: Any = AutoModelForCausalLM.from_config(config)
    for name, weight in model.named_parameters():
        if name.endswith(("norm.weight", "layernorm.weight")):
            weight.data.uniform_(0.5, 1.5)
    return model


def row() -> Any:
    completions = (Completion((5, 6, 7, 8), (1.0, 0.0, 0.5, 1.0)), Completion((9, 10), (1.0, 1.0)))
    return lay_out(
        [PromptGroup(tuple(range(11, 22)), completions), PromptGroup((3,), (Completion((4, 4), (1.0, 1.0)),))]
    )


def learn(model: Any) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    model.zero_grad()
    scored = token_logprobs(model, row())
    (scored.logprobs_T * scored.weights_T).sum().backward()
    return scored.logprobs_T.detach(), {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("config", FUSED, ids=lambda config: config.model_type)
@pytest.mark.parametrize("how", ["full", "lora", "upper layer only"])
def test_equals_the_models_own_layers(config: Any, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of(config)
    if how != "full":
        layers = [1] if how == "upper layer only" else None
        targets = ["q_proj", "v_proj", "o_proj", "up_proj", "down_proj"]
        model = get_peft_model(
            model, LoraConfig(r=4, target_modules=targets, layers_to_transform=layers, init_lora_weights=False)
        )
    assert packs(model)
    assert logprobs._way(model).terms, "it should have been fused"
    ours, our_gradients = learn(model)
    monkeypatch.setattr(logprobs, "fused", lambda *_, **__: None)
    own, own_gradients = learn(model)
    torch.testing.assert_close(ours, own, rtol=1e-5, atol=1e-5)
    assert our_gradients.keys() == own_gradients.keys()
    for name, gradient in own_gradients.items():
        torch.testing.assert_close(
            our_gradients[name], gradient, rtol=1e-4, atol=1e-5, msg=lambda m, n=name: f"{n}: {m}"
        )


@pytest.mark.parametrize("config", FUSED, ids=lambda config: config.model_type)
@pytest.mark.parametrize("how", ["full", "lora"])
def test_in_bfloat16_the_same_up_to_rounding(config: Any, how: str) -> None:
    model = model_of(config)
    if how == "lora":
        model = get_peft_model(
            model, LoraConfig(r=4, target_modules=["q_proj", "v_proj", "up_proj", "down_proj"], init_lora_weights=False)
        )
    assert packs(model)
    exact, exact_gradients = learn(model)
    with products("bfloat16"):
        rough, rough_gradients = learn(model)
    torch.testing.assert_close(rough, exact, rtol=0.02, atol=0.05)
    assert not torch.equal(rough, exact)
    assert rough_gradients.keys() == exact_gradients.keys()
    for name, gradient in exact_gradients.items():
        apart = float((rough_gradients[name] - gradient).norm() / gradient.norm())
        assert apart < 0.1, name


def test_adapters_are_read_as_they_are_at_each_call() -> None:
    model = get_peft_model(
        model_of(LlamaConfig(**SIZES)), LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False)
    )
    with torch.no_grad():
        on = token_logprobs(model, row()).logprobs_T
        with model.disable_adapter():
            off = token_logprobs(model, row()).logprobs_T
        assert torch.equal(token_logprobs(model, row()).logprobs_T, on)
    assert not torch.allclose(on, off)


@pytest.mark.parametrize(
    "config",
    [GraniteConfig(residual_multiplier=0.3, **SIZES), Gemma2Config(**SIZES), LlamaConfig(hidden_act="gelu", **SIZES)],
    ids=["other numbers", "other layers", "other activation"],
)
def test_others_take_their_own_layers(config: Any) -> None:
    model = model_of(config)
    assert packs(model)
    assert not logprobs._way(model).terms


def test_what_stands_now_may_not_fit() -> None:
    model = model_of(LlamaConfig(attention_dropout=0.1, **SIZES))
    decoder = model.get_decoder()
    assert fused(decoder.eval()) is not None
    assert fused(decoder.train()) is None
    decoder.eval()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert fused(decoder) is None
    assert fused(decoder.to(torch.bfloat16)) is None


@pytest.mark.parametrize("fault", ["a part of each head", "another call"])
def test_what_only_looks_alike_takes_its_own_layers(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of(LlamaConfig(**SIZES))
    found = fused(model.get_decoder())
    assert found is not None

    def rotary(hidden: torch.Tensor, positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if fault == "another call":
            raise TypeError("layer_type is missing")
        cosine, sine = found.rotary(hidden, positions)
        return cosine[..., :8], sine[..., :8]

    monkeypatch.setattr(logprobs, "fused", lambda *_: replace(found, rotary=rotary))
    assert packs(model)
    assert not logprobs._way(model).terms

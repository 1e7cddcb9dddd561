"""What holds for every adapter: what is trained, that saving and loading with plain peft and transformers gives the
same logits, and that the seed alone decides how training starts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from bitsandbytes.functional import dequantize_4bit
from peft import PeftModel
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer

from burnish import catalogue
from burnish.errors import ModelError
from burnish.models.adapter import Adapter
from burnish.models.load import LoadedModel, load_model
from burnish.models.settings import ModelSettings

TOKENS = torch.tensor([[1, 40, 41, 42, 43, 2]])


def adapter_of(kind: str, **settings: Any) -> Adapter:
    made: Adapter = catalogue.build("adapter", catalogue.settings_of("adapter", {"kind": kind, **settings}))
    return made


def loaded_from(folder: Path, *, quantise: bool = False) -> LoadedModel:
    return load_model(ModelSettings(name=str(folder), device="cpu"), quantise=quantise)


def train_a_little(module: nn.Module) -> None:
    optimiser = torch.optim.SGD([p for p in module.parameters() if p.requires_grad], lr=0.5)
    for _ in range(2):
        optimiser.zero_grad()
        module(input_ids=TOKENS, labels=TOKENS).loss.backward()
        optimiser.step()


def logits(module: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = module.eval()(input_ids=TOKENS).logits.float()
    return found


def relative_error(got: torch.Tensor, expected: torch.Tensor) -> float:
    return float((got - expected).norm() / expected.norm())


def test_full_trains_every_weight_and_transformers_reads_what_it_saves(tiny_model_folder: Path, tmp_path: Path) -> None:
    adapter = adapter_of("full")
    loaded = loaded_from(tiny_model_folder)
    before = logits(loaded.model)
    module = adapter.apply(loaded, seed=1)
    assert all(p.requires_grad for p in module.parameters())
    train_a_little(module)
    adapter.save(module, loaded, tmp_path / "model")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    assert (adapter.form, adapter.quantise) == ("model", False)
    assert torch.equal(logits(again), logits(module))
    assert not torch.allclose(before, logits(module))
    assert AutoTokenizer.from_pretrained(tmp_path / "model").chat_template == loaded.tokenizer.chat_template
    assert again.generation_config.eos_token_id == loaded.tokenizer.eos_token_id


def test_lora_trains_only_its_own_weights_and_peft_reads_what_it_saves(tiny_model_folder: Path, tmp_path: Path) -> None:
    adapter = adapter_of("lora", rank=4)
    loaded = loaded_from(tiny_model_folder)
    before = logits(loaded.model)
    module = adapter.apply(loaded, seed=1)
    trained = [name for name, p in module.named_parameters() if p.requires_grad]
    assert trained
    assert all("lora_" in name for name in trained)
    assert not any("lm_head" in name for name in trained)
    assert torch.equal(logits(module), before)
    train_a_little(module)
    adapter.save(module, loaded, tmp_path / "adapter")
    assert (adapter.form, adapter.quantise) == ("adapter", False)
    assert sorted(p.name for p in (tmp_path / "adapter").iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]
    assert not torch.allclose(before, logits(module))
    base = AutoModelForCausalLM.from_pretrained(tiny_model_folder)
    assert torch.equal(logits(PeftModel.from_pretrained(base, str(tmp_path / "adapter"))), logits(module))


def test_an_adapter_names_its_base_and_takes_alpha_from_its_rank(tiny_model_folder: Path, tmp_path: Path) -> None:
    adapter = adapter_of("lora", rank=4, targets=["q_proj"])
    loaded = loaded_from(tiny_model_folder)
    adapter.save(adapter.apply(loaded, seed=1), loaded, tmp_path)
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(tiny_model_folder)
    assert (config["r"], config["lora_alpha"], config["target_modules"]) == (4, 8, ["q_proj"])


@pytest.mark.parametrize("kind", ["lora", "qlora"])
def test_the_seed_alone_decides_how_training_starts(kind: str, tiny_model_folder: Path) -> None:
    def start(seed: int, noise: int) -> dict[str, torch.Tensor]:
        torch.manual_seed(noise)
        loaded = loaded_from(tiny_model_folder, quantise=kind == "qlora")
        module = adapter_of(kind).apply(loaded, seed=seed)
        return {name: p.detach().clone() for name, p in module.named_parameters() if p.requires_grad}

    first, same, other = start(1, noise=5), start(1, noise=6), start(2, noise=5)
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_applying_leaves_the_random_state_as_it_was(tiny_model_folder: Path) -> None:
    loaded = loaded_from(tiny_model_folder)
    before = torch.random.get_rng_state()
    adapter_of("lora").apply(loaded, seed=1)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("kind", ["lora", "qlora"])
def test_targets_that_the_model_lacks_are_an_error(kind: str, tiny_model_folder: Path) -> None:
    loaded = loaded_from(tiny_model_folder)
    with pytest.raises(ModelError, match="nope_proj") as caught:
        adapter_of(kind, targets=["nope_proj"]).apply(loaded, seed=1)
    assert "all-linear" in caught.value.hint


@pytest.mark.parametrize("kind", ["lora", "qlora"])
def test_settings_say_alpha_in_full_and_refuse_nonsense(kind: str) -> None:
    assert catalogue.settings_of("adapter", {"kind": kind, "rank": 8}).model_dump()["alpha"] == 16
    assert catalogue.settings_of("adapter", {"kind": kind, "rank": 8, "alpha": 5}).model_dump()["alpha"] == 5
    for wrong in ({"rank": 0}, {"dropout": 1.0}, {"targets": "linear"}, {"rnak": 8}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            catalogue.settings_of("adapter", {"kind": kind, **wrong})


def test_qlora_trains_on_four_bit_weights_and_its_adapter_fits_the_full_base(
    tiny_model_folder: Path, tmp_path: Path
) -> None:
    adapter = adapter_of("qlora", rank=4)
    loaded = loaded_from(tiny_model_folder, quantise=adapter.quantise)
    whole = loaded_from(tiny_model_folder)
    assert 0 < relative_error(logits(loaded.model), logits(whole.model)) < 0.3
    assert loaded.model.model.layers[0].mlp.up_proj.weight.dtype == torch.uint8
    module = adapter.apply(loaded, seed=1)
    assert all("lora_" in name for name, p in module.named_parameters() if p.requires_grad)
    before = logits(module)
    train_a_little(module)
    assert not torch.allclose(before, logits(module))
    adapter.save(module, loaded, tmp_path / "adapter")
    plain = PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(tiny_model_folder), str(tmp_path / "adapter")
    )
    assert relative_error(logits(plain) - logits(whole.model), logits(module) - before) < 0.3


def test_gradients_flow_through_four_bit_weights_after_an_evaluation_pass(tiny_model_folder: Path) -> None:
    loaded = loaded_from(tiny_model_folder, quantise=True)
    layers = [module for module in loaded.model.modules() if hasattr(module, "support_avx512bf16_for_cpu")]
    assert len(layers) == 14
    assert not any(layer.support_avx512bf16_for_cpu for layer in layers)
    logits(loaded.model)
    module = adapter_of("qlora", rank=4).apply(loaded, seed=1).train()
    for name, weight in module.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.1)

    def gradients() -> dict[str, torch.Tensor]:
        module.zero_grad()
        module(input_ids=TOKENS, labels=TOKENS).loss.backward()
        return {name: p.grad.clone() for name, p in module.named_parameters() if p.grad is not None}

    on_four_bits = gradients()
    for layer in cast(Any, module).modules():
        if hasattr(layer, "base_layer"):
            whole = nn.Linear(layer.in_features, layer.out_features, bias=False)
            quantised = layer.base_layer.weight
            whole.weight = nn.Parameter(dequantize_4bit(quantised.data, quantised.quant_state), requires_grad=False)
            layer.base_layer = whole
    on_whole_weights = gradients()
    assert on_four_bits.keys() == on_whole_weights.keys()
    for name, gradient in on_whole_weights.items():
        assert relative_error(on_four_bits[name], gradient) < 1e-5, name


def test_qlora_without_bitsandbytes_says_what_to_install(
    tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("burnish.models.load.find_spec", lambda name: None)
    with pytest.raises(ModelError, match="bitsandbytes") as caught:
        loaded_from(tiny_model_folder, quantise=True)
    assert "burnish[qlora]" in caught.value.hint


def test_an_adapter_on_a_built_in_model_names_it_on_every_machine(tmp_path: Path) -> None:
    from burnish.artefacts import ModelIdentity
    from burnish.models.adapters.lora import _base_reference

    builtin = ModelIdentity(name="smollm2-135m-instruct", path="/home/me/.cache/burnish/models/x", digest="0" * 64)
    assert _base_reference(builtin) == ("smollm2-135m-instruct", None)
    local = ModelIdentity(name="mine", path=str(tmp_path / "smollm2-135m-instruct"), digest="0" * 64)
    assert _base_reference(local) == (local.path, None)

"""What a linear layer is read as, and what is refused."""

from __future__ import annotations

from typing import Any

import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import nn

from burnish.models.products import product


def layer(*, bias: bool = False, **lora: Any) -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(24, 40, bias=bias))
    if lora:
        config = LoraConfig(target_modules=["0"], init_lora_weights=False, **lora)
        return inject_adapter_in_model(config, model)[0]
    return model[0]


def test_a_layer_with_an_adapter() -> None:
    module: Any = layer(r=4, lora_alpha=6, bias=True)
    found = product(module)
    assert found is not None
    assert (found.inputs, found.outputs, found.rank) == (24, 40, 4)
    assert found.adapter is not None
    assert found.adapter.scale == 1.5
    assert [tensor.shape for tensor in found.trained] == [(4, 24), (40, 4)]
    assert found.lasting
    assert found.trains(found.adapter.up_OR)
    assert not found.trains(found.weight)


def test_an_adapter_that_is_off_is_not_there() -> None:
    module: Any = layer(r=4)
    module.enable_adapters(False)
    found = product(module)
    assert found is not None
    assert found.adapter is None
    assert not found.trained


def test_a_weight_that_stays() -> None:
    trained = product(layer())
    assert trained is not None
    assert not trained.lasting
    module: Any = layer(r=4)
    module.merge()
    merged = product(module)
    assert merged is not None
    assert not merged.lasting
    module.unmerge()
    apart = product(module)
    assert apart is not None
    assert apart.lasting


def test_what_it_does_not_know_is_refused() -> None:
    assert product(layer(r=4, use_dora=True)) is None
    assert product(layer(r=4, lora_bias=True, bias=True)) is None
    assert product(nn.Linear(3, 3, dtype=torch.bfloat16)) is None
    assert product(nn.Identity()) is None
    dropped = layer(r=4, lora_dropout=0.5)
    assert product(dropped.train()) is None
    assert product(dropped.eval()) is not None
    both: Any = layer(r=4)
    both.get_base_layer().weight.requires_grad_(True)
    assert product(both) is None

"""Weights laid out once: the same results as those laid out at each call, adapters included."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import nn

from burnish.errors import ModelError
from burnish.models.joint import join
from burnish.models.kernels.narrow import can_multiply_narrow
from burnish.models.prepacked import Prepacked, can_prepack
from burnish.models.products import Product, product

pytestmark = pytest.mark.skipif(not can_multiply_narrow(32, 32), reason="this processor has no bfloat16 units")


def layers(*outputs: int, bias: bool = False, adapters: bool = False) -> list[Any]:
    torch.manual_seed(0)
    made: list[Any] = []
    for size in outputs:
        one: Any = nn.Sequential(nn.Linear(64, size, bias=bias)).requires_grad_(False)
        if adapters:
            one = inject_adapter_in_model(LoraConfig(r=4, target_modules=["0"], init_lora_weights=False), one)
        made.append(one[0])
    return made


def parts(modules: list[Any]) -> list[Product]:
    return [part for part in map(product, modules) if part is not None]


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("adapters", [False, True])
def test_gives_what_the_layers_give(bias: bool, adapters: bool) -> None:
    modules = layers(96, 32, bias=bias, adapters=adapters)
    joint = join(parts(modules), torch.bfloat16, only_read=True)
    assert isinstance(joint, Prepacked)
    x = torch.randn(50, 64)
    expected = torch.cat([module(x.bfloat16().float()) for module in modules], dim=1).detach()
    largest = float(expected.abs().max())
    for got in (joint.forward(joint.placed(x)), joint.unrounded(x)):
        assert float((got.float() - expected).abs().max()) < 0.01 * largest


def test_only_where_nothing_is_learned_from_them() -> None:
    found = parts(layers(96))
    assert not isinstance(join(found, torch.bfloat16), Prepacked)
    assert not isinstance(join(found, torch.float32, only_read=True), Prepacked)
    assert not can_prepack(parts(layers(40)))
    with pytest.raises(NotImplementedError):
        Prepacked(found).back(torch.zeros(1, 96), None, wanted=True)


def test_an_adapter_that_isn_t_finite_is_refused() -> None:
    (module,) = layers(96, adapters=True)
    module.lora_B["default"].weight.data[0, 0] = float("nan")
    with pytest.raises(ModelError, match="aren't finite"):
        Prepacked(parts([module]))

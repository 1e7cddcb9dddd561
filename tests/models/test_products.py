"""Every kind of linear layer as a product: its value, the slope in its input and its gradients equal autograd's."""

from __future__ import annotations

from typing import Any

import pytest
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


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("lora", [{}, {"r": 3, "lora_alpha": 5}, {"r": 16, "use_rslora": True}])
def test_equals_autograd(bias: bool, lora: dict[str, Any]) -> None:
    module = layer(bias=bias, **lora)
    found = product(module)
    assert found is not None
    x, dy = torch.randn(70, 24, requires_grad=True), torch.randn(70, 40)
    y = module(x)
    torch.testing.assert_close(found.forward(x.detach()), y, rtol=1e-5, atol=1e-5)
    trained = [weight for weight in module.parameters() if weight.requires_grad]
    assert {id(tensor) for tensor in found.trained} == {id(weight) for weight in trained}
    dx, *expected = torch.autograd.grad(y, [x, *found.trained], dy)
    gradients, narrow = found.gradients(dy, x.detach())
    for got, wanted in zip(gradients, expected, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(found.slope(dy), dx, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found.slope(dy, torch.ones(70, 24), narrow), 1 + dx, rtol=1e-5, atol=1e-5)


def test_an_adapter_that_is_off_is_not_there() -> None:
    module: Any = layer(r=4)
    module.enable_adapters(False)
    found = product(module)
    assert found is not None
    assert found.adapter is None
    assert not found.trained


def test_a_frozen_half_has_no_gradient() -> None:
    module: Any = layer(r=4)
    module.lora_A["default"].weight.requires_grad_(False)
    found = product(module)
    assert found is not None
    gradients, _ = found.gradients(torch.randn(5, 40), torch.randn(5, 24))
    assert [gradient.shape for gradient in gradients] == [(40, 4)]


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


def test_rounded_for_reading() -> None:
    found = product(layer(bias=True))
    assert found is not None
    rounded = found.rounded(torch.bfloat16)
    x = torch.randn(6, 24)
    got = rounded.forward(x)
    assert (rounded.weight.dtype, got.dtype, rounded.trained) == (torch.bfloat16, torch.float32, ())
    torch.testing.assert_close(got, found.forward(x), rtol=0.05, atol=0.05)
    assert not torch.equal(got, found.forward(x))
    adapted = product(layer(r=4))
    assert adapted is not None
    assert adapted.rounded(torch.bfloat16) is adapted

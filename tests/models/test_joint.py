"""Layers of one input multiplied together: value, slope and gradients equal autograd's, in either type."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import nn

from burnish.models.joint import Joint, join, weights_stay
from burnish.models.products import Product, product

ROWS, INPUTS = 70, 24
BOTH = pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
CASES = {
    "frozen": [{}, {}, {}],
    "adapters": [{"r": 3, "lora_alpha": 5}, {"r": 16, "use_rslora": True}, {"r": 4}],
    "some have one": [{}, {"r": 4}, {}],
    "trained": [{"train": True}, {"train": True}, {"train": True}],
}


def layers(settings: Sequence[dict[str, Any]], *, bias: bool) -> list[nn.Module]:
    torch.manual_seed(0)
    made: list[nn.Module] = []
    for outputs, wanted in zip((40, 16, 8), settings, strict=False):
        one = nn.Sequential(nn.Linear(INPUTS, outputs, bias=bias))
        wanted = dict(wanted)
        one.requires_grad_(wanted.pop("train", False))
        if wanted:
            one = inject_adapter_in_model(LoraConfig(target_modules=["0"], init_lora_weights=False, **wanted), one)
        made.append(one[0])
    return made


def products(modules: Sequence[nn.Module]) -> list[Product]:
    found = [product(module) for module in modules]
    assert all(found)
    return [each for each in found if each is not None]


def placed(joint: Joint, x: torch.Tensor) -> torch.Tensor:
    place = joint.room(len(x))
    place[:, : x.shape[1]] = x
    return place


def close(got: torch.Tensor, wanted: torch.Tensor, dtype: torch.dtype) -> None:
    """Equal, in units of the largest number."""
    rough = 0.02 if dtype == torch.bfloat16 else 1e-5
    assert got.shape == wanted.shape
    assert float((got.float() - wanted).abs().max()) <= rough * float(wanted.abs().max())


@BOTH
@pytest.mark.parametrize("bias", [False, True], ids=["", "bias"])
@pytest.mark.parametrize("case", CASES)
def test_equals_autograd(case: str, bias: bool, dtype: torch.dtype) -> None:
    modules = layers(CASES[case], bias=bias)
    joint = join(products(modules), dtype)
    x = torch.randn(ROWS, INPUTS, requires_grad=True)
    y = torch.cat([module(x) for module in modules], dim=1)
    dy = torch.randn_like(y)
    dx, *expected = torch.autograd.grad(y, [x, *joint.trained], dy)
    with torch.no_grad():
        got = joint.forward(placed(joint, x.detach()))
    assert got.dtype == dtype
    close(got, y.detach(), dtype)
    slope = joint.slope_room(ROWS)
    slope[:, : y.shape[1]] = dy
    with torch.no_grad():
        back, gradients = joint.back(slope, joint.placed(x.detach()), wanted=True)
        alone, nothing = joint.back(joint.slope_placed(dy), None, wanted=True)
        unwanted, _ = joint.back(slope, joint.placed(x.detach()), wanted=False)
    assert back is not None
    close(back, dx, dtype)
    for gradient, wanted in zip(gradients, expected, strict=True):
        assert gradient.dtype == torch.float32
        close(gradient, wanted, dtype)
    assert alone is not None
    close(alone, dx, dtype)
    assert not nothing
    assert unwanted is None


@BOTH
def test_a_frozen_half_has_no_gradient(dtype: torch.dtype) -> None:
    (module,) = layers([{"r": 4}], bias=False)
    module.lora_A["default"].weight.requires_grad_(False)  # type: ignore[union-attr,index]
    joint = join(products([module]), dtype)
    _, gradients = joint.back(joint.slope_placed(torch.randn(5, 40)), joint.placed(torch.randn(5, 24)), wanted=False)
    assert [gradient.shape for gradient in gradients] == [(40, 4)]


def test_a_weight_changed_without_a_trace_is_seen() -> None:
    """As merging an adapter for good changes it."""
    module = layers([{}], bias=False)[0]
    x = torch.randn(6, INPUTS)
    first = join(products([module]), torch.bfloat16)
    first.forward(first.placed(x))
    module.weight.data.mul_(-2.0)  # type: ignore[union-attr,operator]
    second = join(products([module]), torch.bfloat16)
    close(second.forward(second.placed(x)), module(x).detach(), torch.bfloat16)


@pytest.mark.parametrize("stay", [False, True])
def test_a_rounded_matrix_follows_what_it_was_made_of(stay: bool) -> None:
    with weights_stay() if stay else nullcontext():
        _follows_what_it_was_made_of()


def _follows_what_it_was_made_of() -> None:
    (module,) = layers([{"r": 4}], bias=False)
    x = torch.randn(6, INPUTS)

    def follows() -> None:
        joint = join(products([module]), torch.bfloat16)
        close(joint.forward(joint.placed(x)), module(x).detach(), torch.bfloat16)

    base: Any = module.get_base_layer()  # type: ignore[operator]
    follows()
    with torch.no_grad():
        module.lora_B["default"].weight.mul_(-3.0)  # type: ignore[union-attr,index]
    follows()
    moved = [weight for name, weight in module.named_parameters() if "lora" in name]
    for weight in moved:
        weight.grad = torch.randn_like(weight)
    torch.optim.AdamW(moved, lr=3.0, fused=True).step()
    follows()
    module.enable_adapters(False)  # type: ignore[operator]
    follows()
    module.enable_adapters(True)  # type: ignore[operator]
    follows()
    module.merge()  # type: ignore[operator]
    follows()
    module.unmerge()  # type: ignore[operator]
    with torch.no_grad():
        base.weight.mul_(0.5)
    follows()


def test_two_adapters_over_one_matrix_in_one_graph() -> None:
    """Each way back goes through the adapter that its way there went through."""
    with weights_stay():
        _two_adapters_over_one_matrix()


def _two_adapters_over_one_matrix() -> None:
    (module,) = layers([{"r": 4}], bias=False)
    module.update_layer("second", 2, 4, LoraConfig(init_lora_weights=False))  # type: ignore[operator]
    first = join(products([module]), torch.bfloat16)
    module.set_adapter("second")  # type: ignore[operator]
    second = join(products([module]), torch.bfloat16)
    dy = torch.randn(5, 40)
    expected = []
    for name in ("default", "second"):
        module.set_adapter(name)  # type: ignore[operator]
        x = torch.randn(5, INPUTS, requires_grad=True)
        expected.append(torch.autograd.grad(module(x), x, dy)[0])
    first.forward(first.placed(torch.randn(5, INPUTS)))
    second.forward(second.placed(torch.randn(5, INPUTS)))
    for joint, wanted in zip((first, second), expected, strict=True):
        back, _ = joint.back(joint.slope_placed(dy), None, wanted=True)
        assert back is not None
        close(back, wanted, torch.bfloat16)

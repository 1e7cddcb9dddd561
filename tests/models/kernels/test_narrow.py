"""Products of few rows on the bfloat16 units, against float32 products of the same rounded numbers."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import linear, scaled_dot_product_attention

from burnish.models.kernels.narrow import can_multiply_narrow, lay_out, multiply_narrow

pytestmark = pytest.mark.skipif(not can_multiply_narrow(32, 32), reason="this processor has no bfloat16 units")


def laid_out(weight_OI: torch.Tensor) -> torch.Tensor:
    place = torch.full((weight_OI.numel(),), float("nan"), dtype=torch.bfloat16)
    lay_out(weight_OI, place)
    return place


@pytest.mark.parametrize("rows", [1, 15, 16, 17, 32, 33, 47, 128, 129, 300])
@pytest.mark.parametrize(("outputs", "inputs"), [(32, 32), (96, 64), (64, 160)])
@pytest.mark.parametrize("bias", [False, True])
def test_equals_whole_sums_of_rounded_numbers(rows: int, outputs: int, inputs: int, bias: bool) -> None:
    torch.manual_seed(rows)
    weight, added = torch.randn(outputs, inputs), torch.randn(outputs) if bias else None
    wide = torch.randn(rows, inputs + 8).bfloat16()
    x = wide[:, :inputs]
    expected = linear(x.float(), weight.bfloat16().float(), added)
    whole = multiply_narrow(x, laid_out(weight), added, outputs, torch.float32)
    torch.testing.assert_close(whole, expected, rtol=1e-5, atol=1e-4)
    rounded = multiply_narrow(x, laid_out(weight), added, outputs, torch.bfloat16)
    torch.testing.assert_close(rounded, whole.bfloat16(), rtol=0, atol=0)


def test_does_not_depend_on_the_other_rows_or_the_threads() -> None:
    torch.manual_seed(0)
    place, x = laid_out(torch.randn(96, 64)), torch.randn(50, 64).bfloat16()
    whole = multiply_narrow(x, place, None, 96, torch.float32)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        for rows in (1, 16, 31):
            assert torch.equal(multiply_narrow(x[:rows], place, None, 96, torch.float32), whole[:rows])
    finally:
        torch.set_num_threads(before)


def test_leaves_the_unit_to_torch_as_it_was() -> None:
    torch.manual_seed(0)
    weight, x = torch.randn(96, 64), torch.randn(40, 64).bfloat16()
    place, rounded, heads = laid_out(weight), weight.bfloat16(), torch.randn(1, 2, 40, 64).bfloat16()
    product, own = linear(x, rounded), multiply_narrow(x, place, None, 96, torch.bfloat16)
    seen = scaled_dot_product_attention(heads, heads, heads)
    for rows in (40, 3, 40, 17):
        assert torch.equal(linear(x, rounded), product)
        assert torch.equal(multiply_narrow(x[:rows], place, None, 96, torch.bfloat16), own[:rows])
        assert torch.equal(scaled_dot_product_attention(heads, heads, heads), seen)


def test_what_does_not_fit() -> None:
    assert not can_multiply_narrow(48, 32)
    assert not can_multiply_narrow(32, 40)

"""Products of many rows with weights as they are: by the kernel, where the processor has it, and by torch elsewhere."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import linear

from burnish.models.kernels import wide
from burnish.models.kernels.wide import times, times_transpose


def side(rows: int, columns: int) -> torch.Tensor:
    """Numbers in the first columns of something wider."""
    return torch.randn(rows, columns + 6).bfloat16()[:, :columns]


@pytest.mark.parametrize("rows", [1, 48, 61, 97, 700])
@pytest.mark.parametrize(("inner", "outputs"), [(2, 32), (50, 64), (608, 96), (3104, 32), (7, 32), (64, 40)])
def test_equal_sums_of_the_same_numbers(rows: int, inner: int, outputs: int) -> None:
    torch.manual_seed(inner)
    x, across, along = side(rows, inner), side(outputs, inner), side(inner, outputs)
    bias = torch.randn(outputs).bfloat16()
    close = {"rtol": 2**-7, "atol": 2**-6 * inner**0.5 / 4}
    torch.testing.assert_close(times_transpose(x, across).float(), linear(x.float(), across.float()), **close)
    torch.testing.assert_close(
        times_transpose(x, across, bias).float(), linear(x.float(), across.float(), bias.float()), **close
    )
    torch.testing.assert_close(times(x, along).float(), x.float() @ along.float(), **close)


@pytest.mark.skipif(not wide._is_worth_it(), reason="this processor has no pairwise products, or a matrix unit")
def test_the_kernel_rounds_whole_sums_once_whatever_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wide, "linear", None)
    torch.manual_seed(0)
    x, weight = side(300, 640), side(96, 640)
    exact = x.double() @ weight.double().T
    got = times_transpose(x, weight)
    assert bool(((got.double() - exact).abs() <= exact.abs() * 2**-8 + 1e-3).all())
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        assert torch.equal(times_transpose(x, weight), got)
    finally:
        torch.set_num_threads(before)

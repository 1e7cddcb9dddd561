"""Products of many rows with weights as they are, in bfloat16 with float32 sums, where that beats torch's own: on
processors with AVX512_BF16 and no matrix unit. Nothing here is recorded by autograd.

Axes: S rows, K inner size, O outputs.
"""

from __future__ import annotations

from functools import cache

import torch
from torch.nn.functional import linear

from burnish.models.kernels.build import apart, call, kernels

_PANEL = 32
_FEW_ROWS = 48


def times_transpose(x_SK: torch.Tensor, weight_OK: torch.Tensor, bias_O: torch.Tensor | None = None) -> torch.Tensor:
    """x W^T + bias, (S, O); all bfloat16, and rows may lie in wider matrices."""
    if not _fits(x_SK, len(weight_OK)):
        return linear(x_SK, weight_OK, bias_O)
    return _product(x_SK, weight_OK, bias_O, len(weight_OK), turned=True)


def times(x_SK: torch.Tensor, weight_KO: torch.Tensor) -> torch.Tensor:
    """x W, (S, O); both bfloat16, and rows may lie in wider matrices."""
    if not _fits(x_SK, weight_KO.shape[1]):
        return x_SK @ weight_KO
    return _product(x_SK, weight_KO, None, weight_KO.shape[1], turned=False)


def _fits(x_SK: torch.Tensor, outputs: int) -> bool:
    rows, inner = x_SK.shape
    return rows >= _FEW_ROWS and inner % 2 == 0 and outputs % _PANEL == 0 and _is_worth_it()


def _product(
    x_SK: torch.Tensor, weight: torch.Tensor, bias_O: torch.Tensor | None, outputs: int, *, turned: bool
) -> torch.Tensor:
    assert x_SK.dtype == weight.dtype == torch.bfloat16
    rows, inner = x_SK.shape
    y_SO = x_SK.new_empty(rows, outputs)
    work = x_SK.new_empty(torch.get_num_threads() * inner * _PANEL)
    bias_O = None if bias_O is None else bias_O.float()
    apart_by = (apart(x_SK), apart(weight), apart(y_SO))
    call("wide", (x_SK, weight, bias_O, y_SO, work), (), (rows, inner, outputs, *apart_by, int(turned)))
    return y_SO


@cache
def _is_worth_it() -> bool:
    found = kernels()
    return found is not None and bool(found.has_wide())

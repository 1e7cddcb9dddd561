"""Products of a few rows with weights laid out once for the processor's units, in bfloat16 with float32 sums.

A plain product lays its weights out anew at each call, and its results in bfloat16 are too coarse for logits. Only on
processors with AMX or AVX512_BF16; the matrix' sides are whole numbers of 32. Nothing here is recorded by autograd.

Axes: S rows, I inputs, O outputs.
"""

from __future__ import annotations

from functools import cache

import torch

from burnish.models.kernels.build import apart, call, kernels, whole

_BLOCK = 32


def can_multiply_narrow(outputs: int, inputs: int) -> bool:
    """Whether such a unit is there, and a matrix of this shape fits it."""
    return outputs % _BLOCK == 0 and inputs % _BLOCK == 0 and _has_unit()


def lay_out(weight_OI: torch.Tensor, laid_out: torch.Tensor) -> None:
    """Write a float32 weight, rounded, as the unit takes it, into as many bfloat16 numbers."""
    call("narrow_lay_out", tuple(map(whole, (weight_OI, laid_out))), (), tuple(weight_OI.shape))


def multiply_narrow(
    x_SI: torch.Tensor, laid_out: torch.Tensor, bias_O: torch.Tensor | None, outputs: int, dtype: torch.dtype
) -> torch.Tensor:
    """x W^T + bias, (S, O) of that dtype, float32 or bfloat16; x is bfloat16 and its rows may lie in a wider matrix."""
    assert x_SI.dtype == torch.bfloat16
    y_SO = torch.empty(len(x_SI), outputs, dtype=dtype)
    name = "narrow_float32" if dtype == torch.float32 else "narrow_bfloat16"
    call(name, (x_SI, laid_out, bias_O, y_SO), (), (*x_SI.shape, outputs, apart(x_SI)))
    return y_SO


@cache
def _has_unit() -> bool:
    found = kernels()
    return found is not None and bool(found.has_narrow())

"""The element-wise chains of a decoder layer and of the output head: one pass each in C, or on plain torch.

Only on the CPU. Hidden states, norms' weights, heads and logits are float32 and contiguous; what goes into a matrix
product or comes out of one (`E` below) is float32 or bfloat16, and its rows may lie in a wider matrix. Results are
written where the caller says. Nothing here is recorded by autograd: the callers are its functions.

Axes: S tokens, D hidden size, I inner size of the gated layer, H heads, P head size, N rows of logits, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch.nn.functional import silu

from burnish.models.kernels.build import apart, call, kernels, whole

Turn: TypeAlias = tuple[torch.Tensor, torch.Tensor]
"""Cosine and sine of each token's rotary angles, (S, P) each."""


@dataclass(frozen=True, slots=True)
class Norm:
    """x / rms(x) * weight; the weight is float32."""

    weight: torch.Tensor
    epsilon: float


def rms_norm(
    x_SD: torch.Tensor,
    weight_D: torch.Tensor,
    epsilon: float,
    y_SD: torch.Tensor,
    kept_SD: torch.Tensor | None = None,
) -> torch.Tensor:
    """y (E) = x / rms(x) * weight; returns 1 / rms(x), (S,), which the backward pass wants. x goes to `kept` (E) as
    well, where that is given.

    Source: Zhang & Sennrich, "Root Mean Square Layer Normalization", 2019, equation 4.
    """
    return _norm(x_SD, None, weight_D, epsilon, None, y_SD, kept_SD)


def add_rms_norm(
    x_SD: torch.Tensor,
    added_SD: torch.Tensor,
    weight_D: torch.Tensor,
    epsilon: float,
    y_SD: torch.Tensor,
    kept_SD: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """x + added (E), and `rms_norm` of it into y; returns the sum and 1 / rms. The sum goes to `kept` (E) as well,
    where that is given."""
    sum_SD = torch.empty_like(x_SD)
    return sum_SD, _norm(x_SD, added_SD, weight_D, epsilon, sum_SD, y_SD, kept_SD)


def _norm(
    x_SD: torch.Tensor,
    added_SD: torch.Tensor | None,
    weight_D: torch.Tensor,
    epsilon: float,
    sum_SD: torch.Tensor | None,
    y_SD: torch.Tensor,
    kept_SD: torch.Tensor | None,
) -> torch.Tensor:
    if kernels() is None:
        if added_SD is not None and sum_SD is not None:
            x_SD = torch.add(x_SD, added_SD, out=sum_SD)
        inverse_S = torch.rsqrt(x_SD.square().mean(-1) + epsilon)
        y_SD.copy_((x_SD * inverse_S[:, None]).mul_(weight_D))
        if kept_SD is not None:
            kept_SD.copy_(x_SD)
        return inverse_S
    assert added_SD is None or added_SD.dtype == y_SD.dtype, "a product's result and the next one's input are alike"
    inverse_S = x_SD.new_empty(len(x_SD))
    added = 0 if added_SD is None else apart(added_SD)
    tensors = (whole(x_SD), added_SD, weight_D, sum_SD, y_SD, None if kept_SD is None else whole(kept_SD), inverse_S)
    call(_of(y_SD, "rms_norm"), tensors, (epsilon,), (*x_SD.shape, added, apart(y_SD)))
    return inverse_S


def rms_norm_again(x_SD: torch.Tensor, weight_D: torch.Tensor, inverse_S: torch.Tensor, y_SD: torch.Tensor) -> None:
    """The same y (E) once more, from what `rms_norm` kept of x (E) and returned."""
    assert x_SD.dtype == y_SD.dtype, "what was kept is of the type of products"
    if kernels() is None:
        y_SD.copy_((x_SD * inverse_S[:, None]).mul_(weight_D))
        return
    call(_of(y_SD, "rms_norm_again"), (whole(x_SD), weight_D, inverse_S, y_SD), (), (*x_SD.shape, apart(y_SD)))


def rms_norm_backward(
    x_SD: torch.Tensor, weight_D: torch.Tensor, inverse_S: torch.Tensor, dy_SD: torch.Tensor, slope_SD: torch.Tensor
) -> None:
    """Add to `slope_SD` what `rms_norm` passes back of `dy_SD` (E); x is what it kept (E)."""
    assert x_SD.dtype == dy_SD.dtype, "what was kept is of the type of products"
    if kernels() is None:
        inverse_S1 = inverse_S[:, None]
        scaled_SD = dy_SD * weight_D
        along_S1 = (scaled_SD * x_SD).mean(-1, keepdim=True)
        slope_SD.add_(scaled_SD.mul_(inverse_S1)).sub_(x_SD * (along_S1 * inverse_S1**3))
        return
    tensors = (whole(x_SD), weight_D, inverse_S, dy_SD, whole(slope_SD))
    call(_of(dy_SD, "rms_norm_backward"), tensors, (), (*x_SD.shape, apart(dy_SD)))


def take_heads(y_SO: torch.Tensor, size: int, turn: Turn | None) -> torch.Tensor:
    """The heads in columns of a product's result (E), (S, H, P) float32, turned by their positions where asked.

    Source: Su et al., "RoFormer", 2021, equation 34, with each head's halves as the pairs.
    """
    rows, heads = len(y_SO), y_SO.shape[1] // size
    if kernels() is None:
        x_SHP = y_SO.reshape(rows, heads, size).float()
        return _turned(x_SHP, turn) if turn else x_SHP.contiguous()
    x_SHP = torch.empty(rows, heads, size)
    call(_of(y_SO, "take_heads"), (y_SO, *(turn or (None, None)), x_SHP), (), (rows, heads, size, apart(y_SO)))
    return x_SHP


def put_heads(x_SHP: torch.Tensor, turn: Turn | None, y_SO: torch.Tensor) -> None:
    """The way back of `take_heads`: slopes in heads to slopes in a product's result (E)."""
    if kernels() is None:
        back = _turned(x_SHP, (turn[0], -turn[1])) if turn else x_SHP
        y_SO.copy_(back.flatten(1))
        return
    tensors = (whole(x_SHP), *(turn or (None, None)), y_SO)
    call(_of(y_SO, "put_heads"), tensors, (), (*x_SHP.shape, apart(y_SO)))


def _turned(x_SHP: torch.Tensor, turn: Turn) -> torch.Tensor:
    half = x_SHP.shape[-1] // 2
    first, second = x_SHP[..., :half], x_SHP[..., half:]
    c, s = (each[:, None] for each in turn)
    left = first * c[..., :half] - second * s[..., :half]
    return torch.cat((left, second * c[..., half:] + first * s[..., half:]), dim=-1)


def gated(both_SI: torch.Tensor, y_SI: torch.Tensor) -> None:
    """y = silu(gate) * up (all E); a row of `both_SI`, which is whole, is gate and then up.

    Source: Shazeer, "GLU Variants Improve Transformer", 2020, equation 6.
    """
    width = both_SI.shape[1] // 2
    if kernels() is None:
        y_SI.copy_(silu(both_SI[:, :width].float()) * both_SI[:, width:])
        return
    call(_of(both_SI, "gated"), (whole(both_SI), y_SI), (), (len(both_SI), width, apart(y_SI)))


def gated_backward(
    both_SI: torch.Tensor, dy_SI: torch.Tensor, slopes_SI: torch.Tensor, y_SI: torch.Tensor | None
) -> None:
    """The slopes of `gated` with respect to gate and up, side by side in the first columns of their place, and its
    value again where a place for it is given (all E)."""
    width = both_SI.shape[1] // 2
    if kernels() is None:
        gate_SI, up_SI, dy_SI = both_SI[:, :width].float(), both_SI[:, width:].float(), dy_SI.float()
        silu_SI = silu(gate_SI)
        slopes_SI[:, :width].copy_(torch.ops.aten.silu_backward(dy_SI * up_SI, gate_SI))
        slopes_SI[:, width : 2 * width].copy_(dy_SI * silu_SI)
        if y_SI is not None:
            y_SI.copy_(silu_SI.mul_(up_SI))
        return
    value = 0 if y_SI is None else apart(y_SI)
    tensors = (whole(both_SI), dy_SI, slopes_SI, y_SI)
    numbers = (len(both_SI), width, apart(dy_SI), apart(slopes_SI), value)
    call(_of(both_SI, "gated_backward"), tensors, (), numbers)


def target_slopes(logits_NV: torch.Tensor, targets_N: torch.Tensor, slopes_NV: torch.Tensor | None) -> torch.Tensor:
    """Log-probability of each target, (N,). Where a place is given, the slope of it in the logits goes there (E; it may
    be the logits' own), and the logits are overwritten."""
    if kernels() is None:
        log_shares_NV = logits_NV.log_softmax(-1)
        logprobs_N = log_shares_NV.gather(1, targets_N[:, None])[:, 0]
        if slopes_NV is not None:
            torch.exp(log_shares_NV, out=logits_NV).neg_()
            logits_NV[torch.arange(len(targets_N)), targets_N] += 1.0
            slopes_NV.copy_(logits_NV)
        return logprobs_N
    logprobs_N = logits_NV.new_empty(len(logits_NV))
    name = "target_slopes_float32" if slopes_NV is None else _of(slopes_NV, "target_slopes")
    slopes = None if slopes_NV is None else whole(slopes_NV)
    call(name, (whole(logits_NV), targets_N, logprobs_N, slopes), (), tuple(logits_NV.shape))
    return logprobs_N


def likeliest(logits_NV: torch.Tensor) -> torch.Tensor:
    """The first of each row's largest logits, (N,) int64."""
    fits = logits_NV.dtype == torch.float32 and logits_NV.device.type == "cpu" and logits_NV.is_contiguous()
    if not fits or kernels() is None:
        return logits_NV.max(-1).indices
    ids_N = torch.empty(len(logits_NV), dtype=torch.int64)
    call("likeliest", (logits_NV, ids_N), (), tuple(logits_NV.shape))
    return ids_N


def _of(tensor: torch.Tensor, name: str) -> str:
    """The kernel's version for the type of a product's side."""
    return f"{name}_{'bfloat16' if tensor.dtype == torch.bfloat16 else 'float32'}"

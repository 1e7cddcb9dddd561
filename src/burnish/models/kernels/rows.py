"""The element-wise chains of a decoder layer and of the output head: one pass each in C, or on plain torch.

Only for float32 on the CPU. Everything is contiguous, and nothing here is recorded by autograd: the callers are its
functions, forward and backward.

Axes: S tokens, D hidden size, I inner size of the gated layer, H heads, P head size, N rows of logits, V vocabulary.
"""

from __future__ import annotations

import ctypes

import torch

from burnish.models.kernels.build import kernels

_READ = (torch.float32, torch.int64)


def rms_norm(x_SD: torch.Tensor, weight_D: torch.Tensor, epsilon: float) -> tuple[torch.Tensor, torch.Tensor]:
    """x / rms(x) * weight, and 1 / rms(x), (S,), which the backward pass wants.

    Source: Zhang & Sennrich, "Root Mean Square Layer Normalization", 2019, equation 4.
    """
    library = kernels()
    if library is None:
        inverse_S1 = torch.rsqrt(x_SD.square().mean(-1, keepdim=True) + epsilon)
        return (x_SD * inverse_S1).mul_(weight_D), inverse_S1[:, 0]
    y_SD, inverse_S = torch.empty_like(x_SD), x_SD.new_empty(len(x_SD))
    library.rms_norm(
        _at(x_SD), None, _at(weight_D), _real(epsilon), None, _at(y_SD), _at(inverse_S), *_sizes(x_SD), _threads()
    )
    return y_SD, inverse_S


def add_rms_norm(
    x_SD: torch.Tensor, added_SD: torch.Tensor, weight_D: torch.Tensor, epsilon: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """x + added, and `rms_norm` of it."""
    library = kernels()
    if library is None:
        sum_SD = x_SD + added_SD
        return (sum_SD, *rms_norm(sum_SD, weight_D, epsilon))
    sum_SD, y_SD, inverse_S = torch.empty_like(x_SD), torch.empty_like(x_SD), x_SD.new_empty(len(x_SD))
    library.rms_norm(
        _at(x_SD),
        _at(added_SD),
        _at(weight_D),
        _real(epsilon),
        _at(sum_SD),
        _at(y_SD),
        _at(inverse_S),
        *_sizes(x_SD),
        _threads(),
    )
    return sum_SD, y_SD, inverse_S


def rms_norm_backward(
    x_SD: torch.Tensor, weight_D: torch.Tensor, inverse_S: torch.Tensor, dy_SD: torch.Tensor, slope_SD: torch.Tensor
) -> None:
    """Add to `slope_SD` what `rms_norm` passes back of `dy_SD`."""
    library = kernels()
    if library is None:
        inverse_S1 = inverse_S[:, None]
        scaled_SD = dy_SD * weight_D
        along_S1 = (scaled_SD * x_SD).mean(-1, keepdim=True)
        slope_SD.add_(scaled_SD.mul_(inverse_S1)).sub_(x_SD * (along_S1 * inverse_S1**3))
        return
    library.rms_norm_backward(
        _at(x_SD), _at(weight_D), _at(inverse_S), _at(dy_SD), _at(slope_SD), *_sizes(x_SD), _threads()
    )


def rotate(x_SHP: torch.Tensor, cosine_SP: torch.Tensor, sine_SP: torch.Tensor, *, back: bool = False) -> None:
    """Rotary positions, in place; `back` applies the transpose, which is the backward pass.

    Source: Su et al., "RoFormer", 2021, equation 34, with each head's halves as the pairs.
    """
    library = kernels()
    if library is None:
        half = x_SHP.shape[-1] // 2
        first, second = x_SHP[..., :half].clone(), x_SHP[..., half:].clone()
        c, s = cosine_SP[:, None], (-sine_SP if back else sine_SP)[:, None]
        x_SHP[..., :half] = first * c[..., :half] - second * s[..., :half]
        x_SHP[..., half:] = second * c[..., half:] + first * s[..., half:]
        return
    rows, heads, size = x_SHP.shape
    direction = _real(-1.0 if back else 1.0)
    library.rotate(
        _at(x_SHP), _at(cosine_SP), _at(sine_SP), direction, _whole(rows), _whole(heads), _whole(size), _threads()
    )


def gated(gate_SI: torch.Tensor, up_SI: torch.Tensor) -> torch.Tensor:
    """silu(gate) * up.

    Source: Shazeer, "GLU Variants Improve Transformer", 2020, equation 6.
    """
    library = kernels()
    if library is None:
        return torch.nn.functional.silu(gate_SI).mul_(up_SI)
    y_SI = torch.empty_like(gate_SI)
    library.gated(_at(gate_SI), _at(up_SI), _at(y_SI), *_sizes(gate_SI), _threads())
    return y_SI


def gated_backward(
    gate_SI: torch.Tensor, up_SI: torch.Tensor, dy_SI: torch.Tensor, *, value: bool
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
    """The slopes of `gated` with respect to gate and up, and its value again where asked."""
    library = kernels()
    if library is None:
        silu_SI = torch.nn.functional.silu(gate_SI)
        dgate_SI = torch.ops.aten.silu_backward(dy_SI * up_SI, gate_SI)
        return dgate_SI, dy_SI * silu_SI, silu_SI.mul_(up_SI) if value else None
    dgate_SI, dup_SI = torch.empty_like(gate_SI), torch.empty_like(gate_SI)
    y_SI = torch.empty_like(gate_SI) if value else None
    library.gated_backward(
        _at(gate_SI),
        _at(up_SI),
        _at(dy_SI),
        _at(dgate_SI),
        _at(dup_SI),
        None if y_SI is None else _at(y_SI),
        *_sizes(gate_SI),
        _threads(),
    )
    return dgate_SI, dup_SI, y_SI


def target_slopes(logits_NV: torch.Tensor, targets_N: torch.Tensor, *, keep: bool) -> torch.Tensor:
    """Log-probability of each target, (N,). Overwrites the logits with its slope in them, unless `keep`."""
    library = kernels()
    if library is None:
        log_shares_NV = logits_NV.log_softmax(-1)
        logprobs_N = log_shares_NV.gather(1, targets_N[:, None])[:, 0]
        if not keep:
            torch.exp(log_shares_NV, out=logits_NV).neg_()
            logits_NV[torch.arange(len(targets_N)), targets_N] += 1.0
        return logprobs_N
    logprobs_N = logits_NV.new_empty(len(logits_NV))
    library.target_slopes(
        _at(logits_NV), _at(targets_N), _at(logprobs_N), ctypes.c_int(keep), *_sizes(logits_NV), _threads()
    )
    return logprobs_N


def _at(tensor: torch.Tensor) -> ctypes.c_void_p:
    assert tensor.is_contiguous() and tensor.dtype in _READ, "kernels read contiguous float32"  # noqa: PT018
    return ctypes.c_void_p(tensor.data_ptr())


def _sizes(x_SD: torch.Tensor) -> tuple[ctypes.c_int64, ctypes.c_int64]:
    return _whole(x_SD.shape[0]), _whole(x_SD.shape[1])


def _whole(number: int) -> ctypes.c_int64:
    return ctypes.c_int64(number)


def _real(number: float) -> ctypes.c_float:
    return ctypes.c_float(number)


def _threads() -> ctypes.c_int:
    return ctypes.c_int(torch.get_num_threads())

"""The output head as a log-probability of given targets, chunked over tokens.

For a frozen head the slope of each target's log-probability is computed together with it, so that the backward pass is
one multiplication; for a trained head the logits are computed again in the backward pass. Either way about
`_CHUNK_VALUES` logits exist at once.

Axes: T targets, D hidden size, V vocabulary, N tokens of one chunk.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from peft.utils.other import TrainableTokensWrapper
from torch import nn
from torch.utils.checkpoint import checkpoint

from burnish.models.anatomy import Parts
from burnish.models.device import multiplies_in_bfloat16
from burnish.models.joint import Joint, join, only_read
from burnish.models.kernels.rows import target_slopes
from burnish.models.prepacked import Prepacked, can_prepack
from burnish.models.products import product

_CHUNK_VALUES = 8 * 2**20
_CHUNK_TOKENS = 64


@dataclass(frozen=True, slots=True)
class _Shape:
    """What is done to raw logits."""

    scale: float
    softcap: float | None

    @property
    def plain(self) -> bool:
        """Whether raw logits are final."""
        return self.scale == 1.0 and self.softcap is None

    def finish(self, raw_NV: torch.Tensor) -> torch.Tensor:
        """Raw logits made final, fp32; may overwrite its argument."""
        logits = raw_NV.float()
        if self.scale != 1.0:
            logits = logits * self.scale
        return logits if self.softcap is None else torch.tanh(logits / self.softcap) * self.softcap


def head_logprobs(model_parts: Parts, hidden_TD: torch.Tensor, targets_T: torch.Tensor) -> torch.Tensor:
    """Log-probability of each target, (T,) fp32, given the hidden state that predicts it."""
    head, shape = model_parts.head, _Shape(model_parts.logit_scale, model_parts.softcap)
    if type(head) is nn.Linear:
        hidden_TD = hidden_TD.to(head.weight.dtype)
        return _LinearLogprobs.apply(hidden_TD, head.weight, head.bias, targets_T, shape, _narrow(head))  # type: ignore[no-any-return, no-untyped-call]
    if isinstance(head, TrainableTokensWrapper):  # a linear layer without bias, some of whose rows are trained
        weight_VD = head.weight
        return _LinearLogprobs.apply(hidden_TD.to(weight_VD.dtype), weight_VD, None, targets_T, shape, None)  # type: ignore[no-any-return, no-untyped-call]
    return _checkpointed(head, shape, hidden_TD, targets_T)


def final_logits(model_parts: Parts, hidden_ND: torch.Tensor) -> torch.Tensor:
    """Final logits of the token after each hidden state, (N, V) fp32; gradients flow to hidden states and head."""
    return finished(model_parts, model_parts.head(hidden_ND))


def finished(model_parts: Parts, raw_NV: torch.Tensor) -> torch.Tensor:
    """Final logits, fp32, of what the head gives; may overwrite it."""
    return _Shape(model_parts.logit_scale, model_parts.softcap).finish(raw_NV)


def next_logits(model_parts: Parts) -> Callable[[torch.Tensor], torch.Tensor]:
    """A function from hidden states, (N, D), to the final logits of the token after each, (N, V) fp32, for many calls:
    it stands for the head as it is now."""
    head, shape = model_parts.head, _Shape(model_parts.logit_scale, model_parts.softcap)
    found = product(head) if multiplies_in_bfloat16() else None
    if found is not None and can_prepack([found]):
        laid_out = only_read(found)
        return lambda hidden_ND: shape.finish(laid_out.unrounded(hidden_ND))
    return lambda hidden_ND: shape.finish(head(hidden_ND))


@dataclass(frozen=True, slots=True)
class _Narrow:
    """A linear head multiplied in bfloat16: `read` gives logits, which stay float32, since an eighth of a unit matters
    to a log-probability; slopes are taken back through `joint`."""

    read: Prepacked | None
    joint: Joint


def _narrow(head: nn.Linear) -> _Narrow | None:
    found = product(head) if multiplies_in_bfloat16() and head.weight.device.type == "cpu" else None
    if found is None:
        return None
    return _Narrow(only_read(found) if can_prepack([found]) else None, join((found,), torch.bfloat16))


def _checkpointed(head: nn.Module, shape: _Shape, hidden_TD: torch.Tensor, targets_T: torch.Tensor) -> torch.Tensor:
    """For a head that isn't a plain linear layer (one with its own adapter, a quantised one)."""

    def score(hidden_ND: torch.Tensor, targets_N: torch.Tensor) -> torch.Tensor:
        return _pick(shape.finish(head(hidden_ND)).log_softmax(-1), targets_N)

    pieces = zip(torch.split(hidden_TD, _CHUNK_TOKENS), torch.split(targets_T, _CHUNK_TOKENS), strict=True)
    return torch.cat([checkpoint(score, hidden, targets, use_reentrant=False) for hidden, targets in pieces])


class _LinearLogprobs(torch.autograd.Function):
    """log softmax(shape(hidden W^T + bias))[target], differentiable in hidden, W and bias."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden_TD: torch.Tensor,
        weight_VD: torch.Tensor,
        bias_V: Any,
        targets_T: torch.Tensor,
        shape: _Shape,
        narrow: _Narrow | None,
    ) -> torch.Tensor:
        needs_hidden, needs_head = ctx.needs_input_grad[0], any(ctx.needs_input_grad[1:3])
        logprobs_T = torch.empty(len(targets_T), dtype=torch.float32, device=hidden_TD.device)
        slopes_TD = torch.empty_like(hidden_TD) if needs_hidden and not needs_head else None
        for part in _chunks(len(targets_T), len(weight_VD)):
            raw_NV = _raw(hidden_TD[part], weight_VD, bias_V, narrow)
            slopes_NV: torch.Tensor | None = None
            if _in_one_pass(shape, raw_NV):
                if slopes_TD is not None:
                    slopes_NV = narrow.joint.slope_room(len(raw_NV)) if narrow else raw_NV
                logprobs_T[part] = target_slopes(raw_NV, targets_T[part], slopes_NV)
            else:
                logits_NV = shape.finish(raw_NV)
                log_shares_NV = logits_NV.log_softmax(-1)
                logprobs_T[part] = _pick(log_shares_NV, targets_T[part])
                if slopes_TD is not None:
                    slopes_NV = _slopes(log_shares_NV, logits_NV, targets_T[part], shape)
            if slopes_TD is not None and slopes_NV is not None:
                _back(slopes_NV, weight_VD, narrow, slopes_TD[part])
            del raw_NV, slopes_NV  # before the next chunk's are made
        if slopes_TD is not None:
            ctx.save_for_backward(slopes_TD)
        elif needs_head:
            ctx.save_for_backward(hidden_TD, weight_VD, bias_V, targets_T)
        ctx.shape, ctx.narrow, ctx.needs_head = shape, narrow, needs_head
        return logprobs_T

    @staticmethod
    def backward(ctx: Any, grad_T: torch.Tensor) -> tuple[Any, ...]:
        if not ctx.needs_head:
            (slopes_TD,) = ctx.saved_tensors
            return (grad_T[:, None] * slopes_TD).to(slopes_TD.dtype), None, None, None, None, None
        hidden_TD, weight_VD, bias_V, targets_T = ctx.saved_tensors
        grad_hidden_TD = torch.empty_like(hidden_TD) if ctx.needs_input_grad[0] else None
        grad_weight_VD = torch.zeros_like(weight_VD) if ctx.needs_input_grad[1] else None
        grad_bias_V = torch.zeros_like(bias_V) if ctx.needs_input_grad[2] else None
        for part in _chunks(len(targets_T), len(weight_VD)):
            raw_NV = _raw(hidden_TD[part], weight_VD, bias_V, ctx.narrow)
            if _in_one_pass(ctx.shape, raw_NV):
                target_slopes(raw_NV, targets_T[part], raw_NV)
                slopes_NV = raw_NV
            else:
                logits_NV = ctx.shape.finish(raw_NV)
                slopes_NV = _slopes(logits_NV.log_softmax(-1), logits_NV, targets_T[part], ctx.shape)
                slopes_NV = slopes_NV.to(weight_VD.dtype)
            # What each target weighs goes into the narrow sides: the slopes themselves are as wide as the vocabulary.
            weighed_N1 = grad_T[part, None].to(weight_VD.dtype)
            if grad_hidden_TD is not None:
                _back(slopes_NV, weight_VD, ctx.narrow, grad_hidden_TD[part])
                grad_hidden_TD[part] *= weighed_N1
            if grad_weight_VD is not None:
                grad_weight_VD.addmm_(slopes_NV.T, hidden_TD[part] * weighed_N1)
            if grad_bias_V is not None:
                grad_bias_V.addmv_(slopes_NV.T, weighed_N1[:, 0])
            del raw_NV, slopes_NV
        return grad_hidden_TD, grad_weight_VD, grad_bias_V, None, None, None


def _raw(hidden_ND: torch.Tensor, weight_VD: torch.Tensor, bias_V: Any, narrow: _Narrow | None) -> torch.Tensor:
    """Raw logits, (N, V) of the head's dtype."""
    if narrow and narrow.read:
        return narrow.read.unrounded(hidden_ND)
    return nn.functional.linear(hidden_ND, weight_VD, bias_V)


def _in_one_pass(shape: _Shape, raw_NV: torch.Tensor) -> bool:
    """Whether log-probabilities and slopes come of raw logits in one pass."""
    return shape.plain and raw_NV.dtype == torch.float32 and raw_NV.device.type == "cpu"


def _back(slopes_NV: torch.Tensor, weight_VD: torch.Tensor, narrow: _Narrow | None, slopes_ND: torch.Tensor) -> None:
    """Write slopes in the hidden states, given those in raw logits (in their room, where they are bfloat16)."""
    if narrow is None:
        torch.mm(slopes_NV.to(weight_VD.dtype), weight_VD, out=slopes_ND)
        return
    joint = narrow.joint
    slopes_ND.copy_(joint.slope(slopes_NV if slopes_NV.dtype == torch.bfloat16 else joint.slope_placed(slopes_NV)))


def _slopes(
    log_shares_NV: torch.Tensor, logits_NV: torch.Tensor, targets_N: torch.Tensor, shape: _Shape
) -> torch.Tensor:
    """Derivative of each target's log-probability with respect to its raw logits; overwrites `log_shares_NV`."""
    slopes_NV = log_shares_NV.exp_().neg_()
    slopes_NV[torch.arange(len(targets_N), device=targets_N.device), targets_N] += 1.0
    if shape.softcap is not None:
        slopes_NV *= 1 - (logits_NV / shape.softcap).square()
    return slopes_NV.mul_(shape.scale) if shape.scale != 1.0 else slopes_NV


def _pick(values_NV: torch.Tensor, targets_N: torch.Tensor) -> torch.Tensor:
    return values_NV.gather(1, targets_N[:, None])[:, 0]


def _chunks(num_tokens: int, vocab_size: int) -> list[slice]:
    size = max(1, _CHUNK_VALUES // vocab_size)
    return [slice(start, start + size) for start in range(0, num_tokens, size)]

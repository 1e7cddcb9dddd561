"""What a method makes of the whole distribution over the vocabulary at each target, without ever holding all of them.

Logits of some targets at a time are turned into log-probabilities and handed to the method's reading, which keeps a few
numbers of each; the backward pass makes them again. So memory grows with what is kept and not with the vocabulary. What
a plain head's weights learn is added up in one place over all targets: apart for each few of them, matrices of the
vocabulary's size would come and go at every step, between which the heap grows by holes.

Axes: T targets, N targets of one chunk, D hidden size, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import torch
from torch import nn
from torch.nn.functional import linear
from torch.utils.checkpoint import checkpoint

from burnish.models.anatomy import Parts, parts
from burnish.models.head import final_logits, finished
from burnish.models.logprobs import ScoredGroups, target_states
from burnish.models.packing import Packed

_CHUNK_VALUES = 4 * 2**20
_ROWS = 16

Reading: TypeAlias = Callable[[torch.Tensor, Mapping[str, torch.Tensor]], torch.Tensor]
"""From log-probabilities (N, V), fp32, and the numbers that lie beside these targets by name (N, ...), to what is kept
of them, (N, ...)."""
_Read: TypeAlias = Callable[..., tuple[torch.Tensor, ...]]
"""From log-probabilities (N, V) and more numbers of these targets to what is kept of them."""


def scored_distributions(
    model: nn.Module, packed: Packed, reading: Reading, beside: Mapping[str, torch.Tensor]
) -> ScoredGroups:
    """Score the targets of one packed row as `token_logprobs` does, and have their distributions read. `beside` are
    numbers of its targets by name (T, ...), on the model's device. Gradients flow through both."""
    states_TD = target_states(model, packed)
    row = packed.to(states_TD.device)
    found = parts(model)

    def read(logprobs_NV: torch.Tensor, targets_N: torch.Tensor, *numbers: torch.Tensor) -> tuple[torch.Tensor, ...]:
        named = dict(zip(beside, numbers, strict=True))
        return logprobs_NV.gather(1, targets_N[:, None])[:, 0], reading(logprobs_NV, named)

    logprobs_T, read_T = _in_chunks(read, found, states_TD, row.targets_T, *beside.values())
    return ScoredGroups(
        logprobs_T=logprobs_T,
        weights_T=row.weights_T,
        completion_T=row.completion_T,
        num_completions=row.num_completions,
        group_of_completion_C=row.group_of_completion_C,
        read_T=read_T,
    )


def read_distributions(
    model: nn.Module, packed: Packed, reading: Callable[[torch.Tensor], torch.Tensor]
) -> torch.Tensor:
    """What is kept of the targets' log-probabilities (N, V) alone: (T, ...)."""
    return _in_chunks(lambda logprobs_NV: (reading(logprobs_NV),), parts(model), target_states(model, packed))[0]


def _in_chunks(read: _Read, found: Parts, states_TD: torch.Tensor, *numbers: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """The results of `read` for so many targets at a time, joined."""
    size = max(_ROWS, _CHUNK_VALUES // vocabulary_of(found) // _ROWS * _ROWS)
    head = found.head
    if torch.is_grad_enabled() and type(head) is nn.Linear and not torch.is_autocast_enabled(states_TD.device.type):
        # The last target is read again until the rows are a whole number of so many: for each number of rows something
        # is kept (`logprobs`), and matrices of ever other sizes leave holes in the heap.
        count = len(states_TD)
        places = torch.arange(-(-count // _ROWS) * _ROWS, device=states_TD.device).clamp_(max=count - 1)
        states, *few = (each.index_select(0, places) for each in (states_TD.to(head.weight.dtype), *numbers))
        kept = _LinearReading.apply(states, head.weight, head.bias, found, read, size, *few)  # type: ignore[no-untyped-call]
        return tuple(each[:count] for each in kept)

    def read_states(states_ND: torch.Tensor, *numbers: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return read(final_logits(found, states_ND).log_softmax(-1), *numbers)

    pieces = zip(*(torch.split(each, size) for each in (states_TD, *numbers)), strict=True)
    if torch.is_grad_enabled():
        return _joined([checkpoint(read_states, *piece, use_reentrant=False) for piece in pieces])
    return _joined([read_states(*piece) for piece in pieces])


def _joined(pieces: list[tuple[torch.Tensor, ...]]) -> tuple[torch.Tensor, ...]:
    return tuple(torch.cat(results) for results in zip(*pieces, strict=True))


class _LinearReading(torch.autograd.Function):
    """`read` of what a linear head gives, differentiable in hidden states, weights and bias; `numbers` get no
    gradient."""

    @staticmethod
    def forward(
        ctx: Any, states_TD: torch.Tensor, weight_VD: torch.Tensor, bias_V: Any, found: Parts, read: _Read, size: int,
        *numbers: torch.Tensor,
    ) -> tuple[torch.Tensor, ...]:  # fmt: skip
        ctx.save_for_backward(states_TD, weight_VD, bias_V, *numbers)
        ctx.found, ctx.read, ctx.size = found, read, size
        pieces = zip(*(torch.split(each, size) for each in (states_TD, *numbers)), strict=True)
        return _joined(
            [
                read(finished(found, linear(states_ND, weight_VD, bias_V)).log_softmax(-1), *few)
                for states_ND, *few in pieces
            ]
        )

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[Any, ...]:
        states_TD, weight_VD, bias_V, *numbers = ctx.saved_tensors
        grad_states_TD = torch.empty_like(states_TD) if ctx.needs_input_grad[0] else None
        grad_weight_VD = torch.zeros_like(weight_VD) if ctx.needs_input_grad[1] else None
        grad_bias_V = torch.zeros_like(bias_V) if ctx.needs_input_grad[2] else None
        for start in range(0, len(states_TD), ctx.size):
            part = slice(start, start + ctx.size)
            raw_NV = linear(states_TD[part], weight_VD, bias_V).requires_grad_()
            with torch.enable_grad():
                logprobs_NV = finished(ctx.found, raw_NV).log_softmax(-1)
                kept = ctx.read(logprobs_NV, *(each[part] for each in numbers))
                asked = [(value, grad[part]) for value, grad in zip(kept, grads, strict=True) if value.requires_grad]
                (slopes_NV,) = torch.autograd.grad([v for v, _ in asked], raw_NV, [grad for _, grad in asked])
            if grad_states_TD is not None:
                torch.mm(slopes_NV, weight_VD, out=grad_states_TD[part])
            if grad_weight_VD is not None:
                grad_weight_VD.addmm_(slopes_NV.T, states_TD[part])
            if grad_bias_V is not None:
                grad_bias_V += slopes_NV.sum(0)
        return grad_states_TD, grad_weight_VD, grad_bias_V, None, None, None, *(None for _ in numbers)


def vocabulary_of(found: Parts) -> int:
    """How many tokens the output head knows, those without a meaning counted too."""
    return int(found.base.config.get_text_config().vocab_size)

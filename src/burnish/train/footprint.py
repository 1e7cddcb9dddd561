"""How much memory a run will need, predicted before its first step, so that one that won't fit is refused rather than
killed.

What the weights take is there to be read. What a forward pass keeps for the backward pass is counted, by autograd's own
hooks, on a few short rows, and follows from them for the longest: it is a constant, a part that grows with the tokens
and one with their square (scores, where attention keeps them). So it holds for any architecture, adapter and compute
type, and for whatever the engine fuses or recomputes. Knows nothing of methods or data.

Source: PyTorch, "Hooks for autograd saved tensors" (torch.autograd.graph.saved_tensors_hooks).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from burnish.errors import TrainError
from burnish.models.anatomy import parts
from burnish.models.device import autocast, free_memory_bytes, multiplies_in_bfloat16, used_memory_bytes
from burnish.models.groups import Completion, PromptGroup
from burnish.models.logprobs import token_logprobs
from burnish.models.packing import lay_out
from burnish.train.settings import ResolvedTrainSettings

_PROBES = (32, 64, 96)  # tokens
_FLOAT, _ROUNDED = 4, 2  # bytes
_HEAD_VALUES = 8 * 8 * 2**20  # logits of one chunk, their log-shares, slopes, and what products of them lay out anew
# On the CPU every tensor comes from the C library's heap, which finds room for tensors of ever other sizes by growing:
# it was measured to hold a quarter more than is kept at once (benchmarks/memory.py prints by how much a prediction is
# off).
_HEAP = {"cpu": 1.25}
_GB = 1e9


@dataclass(frozen=True)
class Footprint:
    """Bytes. `used` are in use now; `states` are gradients and the optimiser's moments; `activations` what the largest
    packed row of `tokens` keeps for its backward pass; `passing` what one layer's backward pass or the output head
    holds for a moment, and trained weights as they are rounded for products. `per_token` is how activations and passing
    grow with each token."""

    used: int
    states: int
    activations: int
    passing: int
    tokens: int
    per_token: float

    @property
    def growth(self) -> int:
        """What is needed beyond what is used now."""
        return self.states + self.activations + self.passing

    @property
    def peak(self) -> int:
        """The most that will be used."""
        return self.used + self.growth

    def __str__(self) -> str:
        return (
            f"{self.peak / _GB:.1f} GB (in use {self.used / _GB:.1f}, gradients and optimiser "
            f"{self.states / _GB:.1f}, activations of {self.tokens:,} tokens {self.activations / _GB:.1f}, "
            f"in passing {self.passing / _GB:.1f})"
        )


def largest_row(settings: ResolvedTrainSettings, longest: int) -> int:
    """Tokens of the largest packed row that a step can have, when the longest group of the data has `longest`."""
    return max(longest, min(settings.token_budget, settings.batch_size * longest))


def predict(
    module: nn.Module,
    weights: Iterable[nn.Parameter],
    device: torch.device,
    dtype: torch.dtype,
    tokens: int,
    longest: int,
) -> Footprint:
    """What training `weights` of the module takes at most, with packed rows of up to `tokens` tokens, of which one
    group has up to `longest`. `dtype` is the type of matrix products. Runs a few short rows through the model."""
    weights = list(weights)
    sizes = [weight.numel() * weight.element_size() for weight in weights]
    # A trained weight is rounded anew for each pass, and what it was rounded to is kept for the way back.
    rounded = _ROUNDED * sum(weight.numel() for weight in weights) if multiplies_in_bfloat16() else 0
    constant, linear, square = _kept(module, device, dtype)
    heap = _HEAP.get(device.type, 1.0)
    activations = constant + (linear + square * longest) * tokens
    layers = max(1, int(parts(module).base.config.get_text_config().num_hidden_layers))
    # The gradients of what a layer kept, and the sum that a weight's new gradient is added to.
    passing = 2 * linear * tokens / layers + _HEAD_VALUES * _FLOAT + 2 * max(sizes, default=0) + rounded
    return Footprint(
        used=used_memory_bytes(device),
        states=3 * sum(sizes),
        activations=round(heap * activations),
        passing=round(heap * passing),
        tokens=tokens,
        per_token=heap * (linear * (1 + 2 / layers) + square * longest),
    )


def check_fits(footprint: Footprint, settings: ResolvedTrainSettings, longest: int, device: torch.device) -> None:
    """Refuse a run that needs more memory than is free; where that can't be known, nothing is refused.

    Raises: TrainError saying what is needed for what, what there is, and what to change.
    """
    free = free_memory_bytes(device)
    if free is None or footprint.growth <= free:
        return
    raise TrainError(
        f"{device}: training would use up to {footprint}, that is {footprint.growth / _GB:.1f} GB more than now, "
        f"expected at most the {free / _GB:.1f} GB that are free; nothing was trained",
        hint=_hint(footprint, settings, longest, free),
    )


def _hint(footprint: Footprint, settings: ResolvedTrainSettings, longest: int, free: int) -> str:
    """What to change, with the number that fits where a number is all it takes."""
    kind = settings.adapter.kind
    lighter = {"full": "use the adapter lora or qlora", "lora": "use the adapter qlora"}.get(
        kind, "use a smaller model"
    )
    fitting = footprint.tokens - int((footprint.growth - free) / footprint.per_token) if footprint.per_token else 0
    if fitting >= longest:
        return f"set train.token_budget: {fitting} (the result stays the same), or {lighter}"
    if fitting >= max(64, longest // 8):
        return f"set train.max_length: {fitting} (longer rows are cut) and train.token_budget to as much, or {lighter}"
    return f"{lighter}, or free some memory"


def _kept(module: nn.Module, device: torch.device, dtype: torch.dtype) -> tuple[float, float, float]:
    """Bytes that a row of n tokens keeps for its backward pass, as constant, factor of n and factor of n squared."""
    training = module.training
    module.train()
    try:
        bytes_kept = [_kept_by(module, num_tokens, device, dtype) for num_tokens in _PROBES]
    finally:
        module.train(training)
    square, linear, constant = np.polyfit(_PROBES, bytes_kept, 2)
    return max(0.0, float(constant)), max(0.0, float(linear)), max(0.0, float(square))


def _kept_by(module: nn.Module, num_tokens: int, device: torch.device, dtype: torch.dtype) -> int:
    row = lay_out([PromptGroup((0,), (Completion((0,) * (num_tokens - 1), (1.0,) * (num_tokens - 1)),))])
    own = {tensor.untyped_storage().data_ptr() for tensor in (*module.parameters(), *module.buffers())}
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor.detach()  # an operation that kept its own result, attached, would never be freed

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), autocast(device, dtype):
        scored = token_logprobs(module, row)
        total = sum(kept.values())
        del scored
    return total

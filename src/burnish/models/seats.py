"""Several models on one copy of the base weights: the policy's adapter, the reference (no adapter), the value's.

The policy's adapter is the one that is on when nothing else is asked for. What is switched here is which adapter a
forward pass goes through; which weights are trained stays as it was, so that one backward pass may run through passes
of several seats.

Axes: T targets, D hidden size.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from peft import PeftModel
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils.other import AuxiliaryTrainingWrapper
from torch import nn

from burnish.models.anatomy import parts
from burnish.models.logprobs import target_states
from burnish.models.packing import Packed

VALUE = "value"


class ValueHead(nn.Module):
    """Expected reward from a hidden state; zero at first, so that training starts without a guess."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.linear = nn.Linear(hidden_size, 1, dtype=torch.float32)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, states_TD: torch.Tensor) -> torch.Tensor:
        """(T,) fp32."""
        return cast(torch.Tensor, self.linear(states_TD.float())[:, 0])


def value_head(module: nn.Module) -> ValueHead:
    """A head that fits the model, on its device."""
    base = parts(module).base
    return ValueHead(base.config.get_text_config().hidden_size).to(base.device)


def target_values(module: nn.Module, head: ValueHead, packed: Packed) -> torch.Tensor:
    """The value before each target, (T,) fp32, read through the value's adapter; gradients flow to it and the head."""
    with seated(module, VALUE):
        return cast(torch.Tensor, head(target_states(module, packed)))


def has_reference(module: nn.Module) -> bool:
    """Whether the untuned model is still there beside the tuned one."""
    return isinstance(module, PeftModel)


@contextmanager
def reference(module: nn.Module) -> Iterator[None]:
    """Inside, the model is what it was before any training: its adapters are off. A model without adapters is left as
    it is, and is its own reference only before the first step."""
    layers = _layers(module)
    before = [layer._disable_adapters for layer in layers]
    for layer in layers:
        layer._disable_adapters = True
    try:
        yield
    finally:
        for layer, disabled in zip(layers, before, strict=True):
            layer._disable_adapters = disabled


@contextmanager
def seated(module: nn.Module, name: str) -> Iterator[None]:
    """Inside, forward passes go through the adapter of that name; afterwards through the policy's again."""
    layers = _layers(module)
    before = [layer._active_adapter for layer in layers]
    for layer in layers:
        layer._active_adapter = [name] if name in _adapters(layer) else []
    try:
        yield
    finally:
        for layer, active in zip(layers, before, strict=True):
            layer._active_adapter = active


def _layers(module: nn.Module) -> list[Any]:
    """What reads which adapter is on. Switched here and not by PEFT's own methods: those look through the whole model
    several times, and turn off the gradients of what isn't on, which one backward pass over several seats needs."""
    return [layer for layer in module.modules() if isinstance(layer, BaseTunerLayer | AuxiliaryTrainingWrapper)]


def _adapters(layer: Any) -> Collection[str]:
    wraps = isinstance(layer, AuxiliaryTrainingWrapper)
    return cast(Collection[str], layer._adapters if wraps else layer._all_available_adapter_names())

"""Several models on one copy of the base weights: the policy's adapter, the reference (no adapter), the value's.

The policy's adapter is the one that is on when nothing else is asked for. What is switched here is which adapter a
forward pass goes through; which weights are trained stays as it was, so that one backward pass may run through passes
of several seats.

Axes: T targets, D hidden size.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import torch
from peft import PeftModel
from torch import nn

from burnish.models.anatomy import parts
from burnish.models.logprobs import target_states
from burnish.models.packing import Packed

POLICY = "default"  # PEFT's own name for a model's first adapter
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
    if not isinstance(module, PeftModel):
        yield
        return
    with _same_weights_trained(module), module.disable_adapter():
        yield


@contextmanager
def seated(module: nn.Module, name: str) -> Iterator[None]:
    """Inside, forward passes go through the adapter of that name; afterwards through the policy's again."""
    assert isinstance(module, PeftModel)
    trained = _trained(module)
    module.set_adapter(name)
    _train(trained)
    try:
        yield
    finally:
        module.set_adapter(POLICY)
        _train(trained)


@contextmanager
def _same_weights_trained(module: nn.Module) -> Iterator[None]:
    """PEFT sets `requires_grad` as it switches; a weight without it would lose its gradient in the backward pass."""
    trained = _trained(module)
    try:
        yield
    finally:
        _train(trained)


def _trained(module: nn.Module) -> list[nn.Parameter]:
    return [weight for weight in module.parameters() if weight.requires_grad]


def _train(weights: list[nn.Parameter]) -> None:
    for weight in weights:
        weight.requires_grad_(True)

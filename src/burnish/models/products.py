"""The linear layers of a model as they stand now, read without autograd: weight, bias, and an adapter beside it.

A plain layer, one with a LoRA adapter, one whose weight is trained, one whose weight is held in four bits. How they are
multiplied is `joint`'s. Knows nothing of decoders.

Axes: I inputs, O outputs, R rank.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import torch
from peft.tuners.lora import Linear as LoraLinear
from peft.tuners.lora import LoraLayer
from torch import nn


@dataclass(frozen=True, slots=True)
class LowRank:
    """An adapter: the layer gives x W^T + scale * (x down^T) up^T; `down_RI`, `up_OR`."""

    down_RI: torch.Tensor
    up_OR: torch.Tensor
    scale: float


@dataclass(frozen=True, slots=True)
class Product:
    """One linear layer. `trained` are the tensors that gradients are found of, in their order: the adapter's two, or
    weight and bias. `quantised` is what a weight held in four bits is restored by. `passing`: the weight is there for a
    while only, an adapter being merged into it."""

    weight: torch.Tensor
    bias: torch.Tensor | None
    adapter: LowRank | None
    quantised: Any
    trained: tuple[torch.Tensor, ...]
    passing: bool = False

    @property
    def inputs(self) -> int:
        return int(self._shape[1])

    @property
    def outputs(self) -> int:
        return int(self._shape[0])

    @property
    def rank(self) -> int:
        """Of the adapter; 0 without one."""
        return len(self.adapter.down_RI) if self.adapter else 0

    @property
    def lasting(self) -> bool:
        """Whether the weight is whole and frozen, and nothing is merged into it for a while."""
        return self.quantised is None and not self.passing and not self.weight.requires_grad

    def trains(self, tensor: torch.Tensor | None) -> bool:
        return any(tensor is each for each in self.trained)

    def dense(self) -> torch.Tensor:
        """The weight, (O, I) float32."""
        if self.quantised is None:
            return self.weight
        from bitsandbytes.functional import dequantize_4bit

        return dequantize_4bit(self.weight, self.quantised)

    @property
    def _shape(self) -> Any:
        return self.weight.shape if self.quantised is None else self.quantised.shape


def product(layer: nn.Module) -> Product | None:
    """What the layer does now, adapters on or off as they are; None when it does anything else."""
    if not isinstance(layer, LoraLayer):
        return _plain(layer, None)
    base = layer.get_base_layer()
    if layer.disable_adapters or layer.merged or not layer.active_adapters:
        return _plain(base, None, passing=layer.merged)
    adapter = _adapter(layer)
    return None if adapter is None else _plain(base, adapter)


def _plain(layer: nn.Module, adapter: LowRank | None, *, passing: bool = False) -> Product | None:
    weight, bias = (cast(Any, getattr(layer, name, None)) for name in ("weight", "bias"))
    state = getattr(weight, "quant_state", None)
    dense = type(layer) is nn.Linear and weight.dtype == torch.float32
    in_four_bits = type(layer).__name__ == "Linear4bit" and state is not None and state.dtype == torch.float32
    if not dense and not in_four_bits:
        return None
    own = _with_gradient(weight, bias)
    if adapter is None:
        return Product(weight, bias, None, state, own, passing)
    return None if own else Product(weight, bias, adapter, state, _with_gradient(adapter.down_RI, adapter.up_OR))


def _with_gradient(*tensors: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
    return tuple(tensor for tensor in tensors if tensor is not None and tensor.requires_grad)


def _adapter(layer: LoraLayer) -> LowRank | None:
    """The one active adapter, or None when there are several, or it isn't the plain kind."""
    name = layer.active_adapters[0]
    plain = isinstance(layer, LoraLinear) or type(layer).__name__ == "Linear4bit"
    down, up = (cast(Any, pair[name]) if name in pair else None for pair in (layer.lora_A, layer.lora_B))
    if not plain or len(layer.active_adapters) != 1 or down is None or up is None:
        return None
    if layer.use_dora.get(name) or layer.lora_variant.get(name) or up.bias is not None:
        return None
    if not isinstance(layer.lora_dropout[name], nn.Identity) and cast(Any, layer).training:
        return None
    return LowRank(down.weight, up.weight, float(layer.scaling[name]))

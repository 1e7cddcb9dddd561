"""The linear layers of a model as matrix products that are called, and taken back, without autograd.

A plain layer, one with a LoRA adapter beside it, one whose weight is trained, one whose weight is held in four bits:
the callers see none of it. What an adapter adds goes straight into the product's own result, so that nothing of the
result's size is made only to be added. Knows nothing of decoders.

Axes: S tokens, I inputs, O outputs, R rank.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, cast

import torch
from peft.tuners.lora import Linear as LoraLinear
from peft.tuners.lora import LoraLayer
from torch import nn

from burnish.models.device import products
from burnish.models.kernels.low_rank import low_rank_gradients

Gradients: TypeAlias = tuple[torch.Tensor, ...]


@dataclass(frozen=True, slots=True)
class LowRank:
    """An adapter: the layer gives x W^T + scale * (x down^T) up^T; `down_RI`, `up_OR`."""

    down_RI: torch.Tensor
    up_OR: torch.Tensor
    scale: float


@dataclass(frozen=True, slots=True)
class Product:
    """One linear layer as it stands now. `trained` are the tensors that `gradients` are of, in its order: the adapter's
    two, or weight and bias. `quantised` is what a weight held in four bits is restored by."""

    weight: torch.Tensor
    bias: torch.Tensor | None
    adapter: LowRank | None
    quantised: Any
    trained: tuple[torch.Tensor, ...]

    def forward(self, x_SI: torch.Tensor) -> torch.Tensor:
        """The layer's output, (S, O); fresh memory, that the caller may write into."""
        weight_OI = self._dense()
        if weight_OI.dtype != x_SI.dtype:
            return nn.functional.linear(x_SI.to(weight_OI.dtype), weight_OI, self.bias).to(x_SI.dtype)
        y_SO = nn.functional.linear(x_SI, weight_OI, self.bias)
        if self.adapter is not None:
            with _narrow():
                y_SO.addmm_(x_SI @ self.adapter.down_RI.T, self.adapter.up_OR.T, alpha=self.adapter.scale)
        return y_SO

    def rounded(self, dtype: torch.dtype) -> Product:
        """The same for reading alone, with a copy of the weight in `dtype`, where nothing stands beside it."""
        if self.adapter is not None or self.quantised is not None:
            return self
        bias = None if self.bias is None else self.bias.detach().to(dtype)
        return replace(self, weight=self.weight.detach().to(dtype), bias=bias, trained=())

    def slope(
        self, dy_SO: torch.Tensor, into_SI: torch.Tensor | None = None, narrow_SR: torch.Tensor | None = None
    ) -> torch.Tensor:
        """The slope in the input, (S, I); added to `into_SI` where that is given. `narrow_SR` is what `gradients` found
        on its way."""
        weight_OI = self._dense()
        dx_SI = torch.mm(dy_SO, weight_OI) if into_SI is None else into_SI.addmm_(dy_SO, weight_OI)
        if self.adapter is not None:
            with _narrow():
                narrow_SR = dy_SO @ self.adapter.up_OR if narrow_SR is None else narrow_SR
                dx_SI.addmm_(narrow_SR, self.adapter.down_RI, alpha=self.adapter.scale)
        return dx_SI

    def gradients(self, dy_SO: torch.Tensor, x_SI: torch.Tensor) -> tuple[Gradients, torch.Tensor | None]:
        """The gradients of `trained`, given what went in; and for an adapter the slope between its two products,
        unscaled, (S, R)."""
        if self.adapter is None:
            return self._own_gradients(dy_SO, x_SI), None
        adapter = self.adapter
        narrow_SR, down_RI, up_OR = low_rank_gradients(x_SI, dy_SO, adapter.down_RI, adapter.up_OR)
        pairs = ((down_RI, adapter.down_RI), (up_OR, adapter.up_OR))
        return tuple(gradient.mul_(adapter.scale) for gradient, own in pairs if self._trains(own)), narrow_SR

    def _own_gradients(self, dy_SO: torch.Tensor, x_SI: torch.Tensor) -> Gradients:
        gradients: list[torch.Tensor] = []
        if self._trains(self.weight):
            gradients.append(dy_SO.T @ x_SI)
        if self.bias is not None and self._trains(self.bias):
            gradients.append(dy_SO.sum(0))
        return tuple(gradients)

    def _trains(self, tensor: torch.Tensor) -> bool:
        return any(tensor is each for each in self.trained)

    def _dense(self) -> torch.Tensor:
        if self.quantised is None:
            return self.weight
        from bitsandbytes.functional import dequantize_4bit

        return dequantize_4bit(self.weight, self.quantised)


def _narrow() -> AbstractContextManager[None]:
    """An adapter's own products stay in float32 whatever the large ones do: they are bound by memory, and rounding
    their inputs costs ten times what the products do."""
    return products("float32")


def product(layer: nn.Module) -> Product | None:
    """What the layer does now, adapters on or off as they are; None when it does anything else."""
    if not isinstance(layer, LoraLayer):
        return _plain(layer, None)
    base = layer.get_base_layer()
    if layer.disable_adapters or layer.merged or not layer.active_adapters:
        return _plain(base, None)
    adapter = _adapter(layer)
    return None if adapter is None else _plain(base, adapter)


def _plain(layer: nn.Module, adapter: LowRank | None) -> Product | None:
    weight, bias = (cast(Any, getattr(layer, name, None)) for name in ("weight", "bias"))
    state = getattr(weight, "quant_state", None)
    dense = type(layer) is nn.Linear and weight.dtype == torch.float32
    in_four_bits = type(layer).__name__ == "Linear4bit" and state is not None and state.dtype == torch.float32
    if not dense and not in_four_bits:
        return None
    own = _with_gradient(weight, bias)
    if adapter is None:
        return Product(weight, bias, None, state, own)
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

"""Layers of one input that are only read, for many passes of few rows: bfloat16, laid out once for the processor.

Axes: S tokens, I inputs, O outputs of all layers side by side.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from burnish.errors import ModelError
from burnish.models.kernels.narrow import can_multiply_narrow, lay_out, multiply_narrow
from burnish.models.memory import set_aside
from burnish.models.products import Product


def can_prepack(parts: Sequence[Product]) -> bool:
    """Whether the processor has a unit for it that the layers fit, and no weight is held in four bits to be small."""
    here = all(part.quantised is None and part.weight.device.type == "cpu" for part in parts)
    return here and all(can_multiply_narrow(part.outputs, part.inputs) for part in parts)


class Prepacked:
    """A `joint.Joint` as it stood when it was made, adapters added to their weights; it has no way back.

    Raises: ModelError when an adapter holds numbers that aren't finite.
    """

    trained: tuple[torch.Tensor, ...] = ()

    @torch.no_grad()
    def __init__(self, parts: Sequence[Product]) -> None:
        self._inputs = parts[0].inputs
        self._outputs = sum(part.outputs for part in parts)
        self._laid_out = torch.empty(self._outputs * self._inputs, dtype=torch.bfloat16)
        sizes = [part.outputs * part.inputs for part in parts]
        for part, place in zip(parts, torch.split(self._laid_out, sizes), strict=True):
            lay_out(_with_adapter(part), place)
            if part.lasting:
                set_aside(part.weight)
        self._bias: torch.Tensor | None = None
        if any(part.bias is not None for part in parts):
            zeros = (torch.zeros(part.outputs) if part.bias is None else part.bias for part in parts)
            self._bias = torch.cat(list(zeros))

    def room(self, rows: int) -> torch.Tensor:
        return torch.empty(rows, self._inputs, dtype=torch.bfloat16)

    def placed(self, x_SI: torch.Tensor) -> torch.Tensor:
        return x_SI.bfloat16()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return multiply_narrow(x, self._laid_out, self._bias, self._outputs, torch.bfloat16)

    def unrounded(self, x_SI: torch.Tensor) -> torch.Tensor:
        """The result of an input of any type, (S, O) float32."""
        return multiply_narrow(x_SI.bfloat16(), self._laid_out, self._bias, self._outputs, torch.float32)

    def slope_room(self, rows: int) -> torch.Tensor:
        raise NotImplementedError("these weights are only read")

    def slope_placed(self, dy_SO: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError("these weights are only read")

    def back(
        self, dy: torch.Tensor, x: torch.Tensor | None, *, wanted: bool
    ) -> tuple[torch.Tensor | None, list[torch.Tensor]]:
        raise NotImplementedError("these weights are only read")

    def slope(self, dy: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError("these weights are only read")


def _with_adapter(part: Product) -> torch.Tensor:
    """The layer's weight, (O, I) float32, and what its adapter adds to it."""
    weight_OI = part.dense().detach()
    if part.adapter is not None:
        adapter = part.adapter
        weight_OI = torch.addmm(weight_OI, adapter.up_OR, adapter.down_RI, alpha=adapter.scale)
        if not weight_OI.sum().isfinite():  # cheaper than asking each number
            raise ModelError("the adapter's weights aren't finite", hint="lower train.learning_rate")
    return weight_OI.contiguous()

"""Linear layers that read one input, multiplied together and taken back without autograd.

Two ways. `Exact` multiplies in float32, layer by layer, and what an adapter adds goes straight into the result.
`Rounded` multiplies in bfloat16 with sums in float32: weights, and the adapters beside them, stand in one matrix,

    M = | W  sB |      x M[:O]^T with x = (input, input A^T) is the result with all that adapters add;
        | A   0 |      dy M[:, :I] with dy = (slope, slope sB) is the slope in the input,

so that each way is one large product. The callers see none of it: they ask for the place where an input or a slope is
to be written, and never read beyond its first columns.

Axes: S tokens, I inputs, O outputs of all layers side by side, R ranks of all adapters side by side.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import torch
from torch.utils.weak import WeakTensorKeyDictionary

from burnish.models.kernels.low_rank import low_rank_gradients
from burnish.models.kernels.wide import times, times_transpose
from burnish.models.memory import set_aside
from burnish.models.prepacked import Prepacked, can_prepack
from burnish.models.products import Product

Gradients: TypeAlias = list[torch.Tensor]


class Joint(Protocol):
    """Layers of one input as they stand now. Their `trained` tensors are in the layers' order."""

    @property
    def trained(self) -> tuple[torch.Tensor, ...]: ...

    def room(self, rows: int) -> torch.Tensor:
        """A place for an input: write to its first I columns."""
        ...

    def placed(self, x_SI: torch.Tensor) -> torch.Tensor:
        """An input that is there already, in such a place."""
        ...

    def slope_room(self, rows: int) -> torch.Tensor:
        """A place for the slope in the result: write to its first O columns."""
        ...

    def slope_placed(self, dy_SO: torch.Tensor) -> torch.Tensor:
        """A slope that is there already, in such a place."""
        ...

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The result, (S, O), whole and fresh."""
        ...

    def back(self, dy: torch.Tensor, x: torch.Tensor | None, *, wanted: bool) -> tuple[torch.Tensor | None, Gradients]:
        """The slope in the input, (S, I), where it is `wanted`; and the gradients of what is trained, float32, for
        which the input is needed again."""
        ...

    def slope(self, dy: torch.Tensor) -> torch.Tensor:
        """The slope in the input alone."""
        ...


def join(parts: Sequence[Product], dtype: torch.dtype, *, only_read: bool = False) -> Joint:
    """The layers together, multiplied in float32 or bfloat16. `only_read`: for many passes without a way back, in which
    the weights stay as they are."""
    if dtype != torch.bfloat16:
        return Exact(tuple(parts))
    return Prepacked(parts) if only_read and can_prepack(parts) else Rounded(tuple(parts))


@dataclass(frozen=True)
class Exact:
    """Float32, layer by layer; an input or a slope is its own place."""

    parts: tuple[Product, ...]

    @property
    def trained(self) -> tuple[torch.Tensor, ...]:
        return _trained(self.parts)

    def room(self, rows: int) -> torch.Tensor:
        return torch.empty(rows, self.parts[0].inputs)

    def placed(self, x_SI: torch.Tensor) -> torch.Tensor:
        return x_SI

    def slope_room(self, rows: int) -> torch.Tensor:
        return torch.empty(rows, sum(part.outputs for part in self.parts))

    def slope_placed(self, dy_SO: torch.Tensor) -> torch.Tensor:
        return dy_SO

    def forward(self, x_SI: torch.Tensor) -> torch.Tensor:
        y_SO = self.slope_room(len(x_SI))
        for part, columns in _columns(self.parts):
            own_SO = y_SO[:, columns]
            torch.mm(x_SI, part.dense().T, out=own_SO)
            if part.bias is not None:
                own_SO.add_(part.bias)
            if part.adapter is not None:
                narrow_SR = x_SI @ part.adapter.down_RI.T
                own_SO.addmm_(narrow_SR, part.adapter.up_OR.T, alpha=part.adapter.scale)
        return y_SO

    def back(
        self, dy_SO: torch.Tensor, x_SI: torch.Tensor | None, *, wanted: bool
    ) -> tuple[torch.Tensor | None, Gradients]:
        dx_SI: torch.Tensor | None = None
        gradients: Gradients = []
        for part, columns in _columns(self.parts):
            own_SO, narrow_SR = dy_SO[:, columns], None
            if part.trained and x_SI is not None:
                own, narrow_SR = _exact_gradients(part, own_SO, x_SI)
                gradients += own
            if not wanted:
                continue
            weight_OI = part.dense()
            dx_SI = torch.mm(own_SO, weight_OI) if dx_SI is None else dx_SI.addmm_(own_SO, weight_OI)
            if part.adapter is not None:
                narrow_SR = own_SO @ part.adapter.up_OR if narrow_SR is None else narrow_SR
                dx_SI.addmm_(narrow_SR, part.adapter.down_RI, alpha=part.adapter.scale)
        return dx_SI, gradients

    def slope(self, dy_SO: torch.Tensor) -> torch.Tensor:
        return _there(self.back(dy_SO, None, wanted=True)[0])


def _trained(parts: Sequence[Product]) -> tuple[torch.Tensor, ...]:
    return tuple(tensor for part in parts for tensor in part.trained)


def _there(slope: torch.Tensor | None) -> torch.Tensor:
    assert slope is not None
    return slope


def _exact_gradients(part: Product, dy_SO: torch.Tensor, x_SI: torch.Tensor) -> tuple[Gradients, torch.Tensor | None]:
    """The gradients of what a layer trains; and for an adapter the slope between its two products, unscaled, (S, R)."""
    if part.adapter is None:
        return _own_gradients(part, dy_SO, x_SI), None
    adapter = part.adapter
    narrow_SR, down_RI, up_OR = low_rank_gradients(x_SI, dy_SO, adapter.down_RI, adapter.up_OR)
    pairs = ((down_RI, adapter.down_RI), (up_OR, adapter.up_OR))
    return [gradient.mul_(adapter.scale) for gradient, own in pairs if part.trains(own)], narrow_SR


@dataclass
class _Matrix:
    """M. `weights` is what its W was rounded from, `adapters` whose stand beside it now."""

    values: torch.Tensor
    weights: tuple[tuple[int, int], ...]
    adapters: object = None


_kept: MutableMapping[torch.Tensor, _Matrix] | None = None
_laid_out: MutableMapping[torch.Tensor, tuple[tuple[int, int], Prepacked]] = WeakTensorKeyDictionary()


@contextmanager
def weights_stay() -> Iterator[None]:
    """Inside, frozen weights are rounded once: whoever asks for it knows that nothing else changes them, which can't be
    seen on a tensor. Weights that an adapter is merged into for a while are not meant."""
    global _kept, _laid_out
    before = _kept, _laid_out
    _kept, _laid_out = WeakTensorKeyDictionary(), WeakTensorKeyDictionary()
    try:
        yield
    finally:
        _kept, _laid_out = before


def only_read(part: Product) -> Prepacked:
    """One layer as it stands now, for passes without a way back; a frozen one is laid out once where weights stay.

    Raises: ModelError when an adapter holds numbers that aren't finite.
    """
    if _kept is None or not part.lasting or part.adapter is not None:
        return Prepacked([part])
    stamp = _stamp(part.weight)
    known = _laid_out.get(part.weight)
    if known is None or known[0] != stamp:
        known = _laid_out[part.weight] = stamp, Prepacked([part])
    return known[1]


class Rounded:
    """Bfloat16, all in one; the weights and adapters are those of the moment in which it was made."""

    def __init__(self, parts: tuple[Product, ...]) -> None:
        self.parts = parts
        self._inputs = parts[0].inputs
        self._outputs = sum(part.outputs for part in parts)
        self._rank = sum(part.rank for part in parts)
        self._matrix: _Matrix | None = None
        self._moment = object()

    @property
    def trained(self) -> tuple[torch.Tensor, ...]:
        return _trained(self.parts)

    def room(self, rows: int) -> torch.Tensor:
        return torch.empty(rows, self._inputs + self._rank, dtype=torch.bfloat16)

    def placed(self, x_SI: torch.Tensor) -> torch.Tensor:
        x = self.room(len(x_SI))
        x[:, : self._inputs] = x_SI
        return x

    def slope_room(self, rows: int) -> torch.Tensor:
        return torch.empty(rows, self._outputs + self._rank, dtype=torch.bfloat16)

    def slope_placed(self, dy_SO: torch.Tensor) -> torch.Tensor:
        dy = self.slope_room(len(dy_SO))
        dy[:, : self._outputs] = dy_SO
        return dy

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        whole = self._whole()
        self._widen_input(x, whole)
        return times_transpose(x, whole[: self._outputs], self._bias())

    def back(self, dy: torch.Tensor, x: torch.Tensor | None, *, wanted: bool) -> tuple[torch.Tensor | None, Gradients]:
        inputs, outputs = self._inputs, self._outputs
        whole = self._whole()
        if self._rank:
            dy[:, outputs:] = dy[:, :outputs] @ whole[:outputs, inputs:]
        gradients: Gradients = []
        if x is not None and self.trained:
            self._widen_input(x, whole)
            gradients = self._gradients(dy, x)
        return times(dy, whole[:, :inputs]) if wanted else None, gradients

    def slope(self, dy: torch.Tensor) -> torch.Tensor:
        return _there(self.back(dy, None, wanted=True)[0])

    def _widen_input(self, x: torch.Tensor, whole: torch.Tensor) -> None:
        """Write input A^T beside the input."""
        if self._rank:
            x[:, self._inputs :] = x[:, : self._inputs] @ whole[self._outputs :, : self._inputs].T

    def _gradients(self, dy: torch.Tensor, x: torch.Tensor) -> Gradients:
        inputs, outputs = self._inputs, self._outputs
        gradients: Gradients = []
        downs_RI = (dy[:, outputs:].T @ x[:, :inputs]).float() if self._rank else None
        rank = 0
        for part, columns in _columns(self.parts):
            adapter = part.adapter
            if adapter is None:
                gradients += _own_gradients(part, dy[:, columns], x[:, :inputs])
                continue
            own = slice(rank, rank + part.rank)
            rank += part.rank
            if part.trains(adapter.down_RI) and downs_RI is not None:
                gradients.append(downs_RI[own])
            if part.trains(adapter.up_OR):
                up_OR = dy[:, columns].T @ x[:, inputs + own.start : inputs + own.stop]
                gradients.append(up_OR.float().mul_(adapter.scale))
        return gradients

    def _bias(self) -> torch.Tensor | None:
        if all(part.bias is None for part in self.parts):
            return None
        zeros = (torch.zeros(part.outputs) if part.bias is None else part.bias.detach() for part in self.parts)
        return torch.cat(list(zeros)).bfloat16()

    def _whole(self) -> torch.Tensor:
        """M, its weights and adapters those of now."""
        matrix = self._found()
        # Optimisers change an adapter without a trace, so it is written anew for every pass; and again on the way back,
        # where another adapter's pass came between.
        if self._rank and matrix.adapters is not self._moment:
            _fill(matrix.values, self.parts, self._inputs, self._outputs)
            matrix.adapters = self._moment
        return matrix.values[: self._outputs + self._rank, : self._inputs + self._rank]

    def _found(self) -> _Matrix:
        weights = tuple(_stamp(part.weight) for part in self.parts)
        if any(part.quantised is not None for part in self.parts):
            return self._made(weights)  # anew for each way, since such weights are kept small
        if _kept is None or not all(part.lasting for part in self.parts):
            if self._matrix is None:
                self._matrix = self._made(weights)
            return self._matrix
        known = _kept.get(self.parts[0].weight)
        rows = self._outputs + self._rank
        if known is None or known.weights != weights or len(known.values) < rows:
            known = _kept[self.parts[0].weight] = self._made(weights)
            for part in self.parts:
                set_aside(part.weight)
        return known

    @torch.no_grad()
    def _made(self, weights: tuple[tuple[int, int], ...]) -> _Matrix:
        values = torch.zeros(self._outputs + self._rank, self._inputs + self._rank, dtype=torch.bfloat16)
        for part, columns in _columns(self.parts):
            values[columns, : self._inputs] = part.dense()
        return _Matrix(values, weights)


@torch.no_grad()
def _fill(whole: torch.Tensor, parts: Sequence[Product], inputs: int, outputs: int) -> None:
    """Write the adapters beside the weights."""
    whole[:outputs, inputs:] = 0
    rank = 0
    for part, columns in _columns(parts):
        if part.adapter is None:
            continue
        own = slice(rank, rank + part.rank)
        whole[columns, inputs + own.start : inputs + own.stop] = part.adapter.up_OR * part.adapter.scale
        whole[outputs + own.start : outputs + own.stop, :inputs] = part.adapter.down_RI
        rank += part.rank


def _own_gradients(part: Product, dy_SO: torch.Tensor, x_SI: torch.Tensor) -> Gradients:
    """Of a layer's own weight and bias."""
    gradients: Gradients = []
    if part.trains(part.weight):
        gradients.append((dy_SO.T @ x_SI).float())
    if part.trains(part.bias):
        gradients.append(dy_SO.sum(0, dtype=torch.float32))
    return gradients


def _columns(parts: Sequence[Product]) -> Iterator[tuple[Product, slice]]:
    """Each layer with its columns of the result."""
    start = 0
    for part in parts:
        yield part, slice(start, start + part.outputs)
        start += part.outputs


def _stamp(tensor: torch.Tensor) -> tuple[int, int]:
    """Changes with the tensor's place, and with its values where those are changed through torch's own operations."""
    return tensor.data_ptr(), tensor._version

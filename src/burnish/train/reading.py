"""Numbers read off a model without a graph: groups packed for reading, results back in the groups' order.

Axes: T targets of all groups laid end to end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn

from burnish.errors import TrainError
from burnish.logs import Bar
from burnish.models.device import autocast
from burnish.models.groups import PromptGroup
from burnish.models.packing import Packed, arrange, lay_out

ROOM_WITHOUT_A_GRAPH = 4
"""How many times training's token budget fits into a row that is only read."""


@torch.no_grad()
def read_rows(
    module: nn.Module,
    device: torch.device,
    dtype: torch.dtype,
    groups: Sequence[PromptGroup],
    score: Callable[[Packed], torch.Tensor],
    budget: int,
    *,
    bar: Bar | None = None,
    lengths: Sequence[int] | None = None,
) -> torch.Tensor:
    """Numbers of all targets, (T, ...) fp32 on the CPU: `score` gives those of one packed row of up to `budget` tokens.
    `lengths`: how many numbers each group has, where it isn't one for each target. `dtype` is the type of matrix
    products.

    Raises: TrainError where memory runs out.
    """
    lengths = lengths or [group.num_targets for group in groups]
    pieces: list[torch.Tensor] = [torch.empty(0)] * len(groups)
    with memory_told(device, budget), evaluating(module), autocast(device, dtype):
        for row in arrange(groups, budget):
            chosen = [groups[index] for index in row]
            numbers = score(lay_out(chosen)).float().cpu()
            for index, piece in zip(row, torch.split(numbers, [lengths[index] for index in row]), strict=True):
                pieces[index] = piece
            if bar:
                bar.advance(len(row))
    return torch.cat(pieces) if pieces else torch.empty(0)


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """The model in evaluation mode, until the end."""
    modes = [(inner, inner.training) for inner in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for inner, mode in modes:
            inner.training = mode


@contextmanager
def memory_told(device: torch.device, token_budget: int) -> Iterator[None]:
    """Raises: TrainError saying what to change, where memory runs out."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise TrainError(
            f"{device}: out of memory with up to {token_budget:,} tokens at once; training stopped, earlier "
            "checkpoints are intact",
            hint="lower train.token_budget (the result stays the same), train.max_length, or use the adapter qlora",
        ) from error

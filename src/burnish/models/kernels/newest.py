"""Attention in C of each sequence's newest token over its cache slot, straight from the product that gives its heads.

Only on the CPU with a head size of whole lanes; nothing here is recorded by autograd.

Axes: N sequences, A heads times head size of queries, keys and values side by side, H heads, G key/value heads, P head
size, B cache slots, L places of a slot.
"""

from __future__ import annotations

import torch

from burnish.models.kernels.build import apart, call, kernels, whole
from burnish.models.kernels.rows import Norm, Turn

_LANE = 16
_EVERYTHING = 2**62


def can_attend_newest(size: int) -> bool:
    """Whether the kernel is there and fits heads of this size."""
    return size % _LANE == 0 and kernels() is not None


def attend_newest(
    heads_NA: torch.Tensor,
    turn: Turn | None,
    norms: tuple[Norm, Norm] | None,
    keys_BGLP: torch.Tensor,
    values_BGLP: torch.Tensor,
    lengths_N: torch.Tensor,
    window: int | None,
    scale: float,
    out_NA: torch.Tensor,
) -> None:
    """Take the norms of query and key heads, turn them, write keys and values to their slots, the first N in order, and
    attend over each slot's first `lengths_N` (int64) places, the new one being the last, into `out_NA` (N, H * P). All
    but turn, norms and lengths are of the caches' type, float32 or bfloat16; rows of heads and output may lie in wider
    matrices. Each sequence reads no more than its own places."""
    _, groups, places, size = keys_BGLP.shape
    rows, heads = len(heads_NA), heads_NA.shape[1] // size - 2 * groups
    work = torch.empty(torch.get_num_threads() * (4 * places + (2 * heads // groups + 1) * size))
    query_norm, key_norm = norms or (None, None)
    tensors = (
        heads_NA,
        *(turn or (None, None)),
        None if query_norm is None else query_norm.weight,
        None if key_norm is None else key_norm.weight,
        whole(keys_BGLP),
        whole(values_BGLP),
        lengths_N,
        out_NA,
        work,
    )
    epsilons = (query_norm.epsilon if query_norm else 0.0, key_norm.epsilon if key_norm else 0.0)
    numbers = (rows, heads, groups, size, places, window or _EVERYTHING, apart(heads_NA), apart(out_NA))
    kind = "bfloat16" if keys_BGLP.dtype == torch.bfloat16 else "float32"
    call(f"attend_newest_{kind}", tensors, (scale, *epsilons), numbers)

"""Attention in C over a packed row's segments, with its backward pass: scores stay in the processor's cache, what a
query can't see isn't computed, and a row is one call. Only on the CPU with a head size of whole lanes, in float32, or
with sides of products in bfloat16 where the processor multiplies those; nothing here is recorded by autograd.

Axes: S tokens of a packed row, N segments, H heads, G key/value heads, P head size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import torch

from burnish.models.kernels.build import call, kernels, whole
from burnish.models.packing import Segments

_LANE = 16
_EVERYTHING = 2**62


@dataclass(frozen=True)
class Table:
    """Where the segments of a row lie: `rows` (N, 4) int64 are where the prompt begins, its length (0: none), where the
    queries begin, how many they are; `firsts` (F + 1,) where each family that shares a prompt begins in it."""

    rows: torch.Tensor
    firsts: torch.Tensor
    longest: int

    @property
    def num_families(self) -> int:
        return len(self.firsts) - 1


def table(groups: Sequence[Segments]) -> Table:
    """A row's segments: a prompt with its first completion, then each further completion after its prompt."""
    rows: list[tuple[int, int, int, int]] = []
    firsts, start = [0], 0
    for group in groups:
        whole = group.prompt + sum(group.completions[:1])
        rows.append((start, 0, start, whole))
        begin = start + whole
        for length in group.completions[1:]:
            rows.append((start, group.prompt, begin, length))
            begin += length
        firsts.append(len(rows))
        start = begin
    longest = max(prompted + queries for _, prompted, _, queries in rows)
    return Table(torch.tensor(rows), torch.tensor(firsts), longest)


def alone(segments: Sequence[tuple[int, int, int, int]]) -> Table:
    """Segments given as a table's rows, each a family of its own: for forward passes, in which they may share keys."""
    longest = max(prompted + queries for _, prompted, _, queries in segments)
    return Table(torch.tensor(segments), torch.arange(len(segments) + 1), longest)


def can_attend(query_SHP: torch.Tensor, value_SGP: torch.Tensor) -> bool:
    """Whether the kernels are there and fit."""
    sizes = query_SHP.shape[-1], value_SGP.shape[-1]
    fits = query_SHP.dtype == value_SGP.dtype == torch.float32 and query_SHP.device.type == "cpu"
    return fits and sizes[0] == sizes[1] and sizes[0] % _LANE == 0 and kernels() is not None


def attend(
    query_SHP: torch.Tensor,
    key_SGP: torch.Tensor,
    value_SGP: torch.Tensor,
    where: Table,
    window: int | None,
    scale: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attention's output, (S, H, P), and the logarithm of each query's sum of exponentials, (H, S); both float32.
    Query, key and value are of one type, float32 or bfloat16; products are in the latter where there are units for it.
    """
    name, query_SHP, key_SGP, value_SGP = _version("attend", query_SHP, key_SGP, value_SGP)
    out, sizes = torch.empty(query_SHP.shape), torch.empty(query_SHP.shape[1], len(query_SHP))
    tensors = (query_SHP, key_SGP, value_SGP, out, sizes, _work(query_SHP, where, 0), where.rows, where.firsts)
    call(name, tuple(map(whole, tensors)), (scale,), _numbers(query_SHP, key_SGP, where, window))
    return out, sizes


def attend_backward(
    query_SHP: torch.Tensor,
    key_SGP: torch.Tensor,
    value_SGP: torch.Tensor,
    sizes_HS: torch.Tensor,
    dout_SHP: torch.Tensor,
    where: Table,
    window: int | None,
    scale: float,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The slopes in query, key and value, float32; `sizes_HS` as `attend` gave them for the same."""
    name, query_SHP, key_SGP, value_SGP = _version("attend", query_SHP, key_SGP, value_SGP)
    dquery, dkey, dvalue = torch.empty(query_SHP.shape), torch.zeros(key_SGP.shape), torch.zeros(value_SGP.shape)
    seen = (query_SHP, key_SGP, value_SGP, sizes_HS, dout_SHP)
    tensors = (*seen, dquery, dkey, dvalue, _work(query_SHP, where, 1), where.rows, where.firsts)
    call(f"{name}_backward", tuple(map(whole, tensors)), (scale,), _numbers(query_SHP, key_SGP, where, window))
    return dquery, dkey, dvalue


def _version(
    name: str, query_SHP: torch.Tensor, key_SGP: torch.Tensor, value_SGP: torch.Tensor
) -> tuple[str, torch.Tensor, torch.Tensor, torch.Tensor]:
    """The kernel for the type of these, which are brought to float32 where there is none for theirs."""
    if query_SHP.dtype == torch.bfloat16 and _has_pairs():
        return f"{name}_pairs", query_SHP, key_SGP, value_SGP
    return name, query_SHP.float(), key_SGP.float(), value_SGP.float()


@cache
def _has_pairs() -> bool:
    found = kernels()
    return found is not None and bool(found.has_attention_pairs())


def _work(query_SHP: torch.Tensor, where: Table, more_rows: int) -> torch.Tensor:
    """Scratch memory for each thread: as much as attention.c's `attention_room` and `more_rows` padded keys, or
    attention_pairs.c's `pairs_room`."""
    size, block, row_pairs = query_SHP.shape[-1], 48, 32
    keys = -(-where.longest // (4 * _LANE)) * 4 * _LANE
    room = keys * (2 * block + (4 + more_rows) * size)
    if query_SHP.dtype == torch.bfloat16:
        room = keys * (5 * block // 2 + 3 * row_pairs + 7 * size // 2) + (block // 2 + 2 * row_pairs) * size
    return torch.empty(torch.get_num_threads() * room)


def _numbers(query_SHP: torch.Tensor, key_SGP: torch.Tensor, where: Table, window: int | None) -> tuple[int, ...]:
    tokens, heads, size = query_SHP.shape
    return where.num_families, tokens, where.longest, heads, key_SGP.shape[1], size, window or _EVERYTHING

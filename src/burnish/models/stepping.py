"""One more token for each of several sequences, through a fused decoder and a cache: nothing but the products, and one
pass between any two of them.

The same numbers as `FusedDecoder.hidden` gives over a cached layout, up to rounding, at a fraction of the calls; when
each sequence adds but one token, it is the calls and the reading of memory that take the time.

Axes: N sequences, D hidden size.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from burnish.models.attention import Terms
from burnish.models.cached_layout import KeyValueCache
from burnish.models.fused_decoder import FusedDecoder
from burnish.models.kernels.newest import attend_newest, can_attend_newest
from burnish.models.kernels.rows import Norm, add_rms_norm, gated, rms_norm


def can_step(decoder: FusedDecoder, terms: Sequence[Terms]) -> bool:
    """Whether the kernels are there and fit."""
    fits = all(can_attend_newest(block.head_size) for block in decoder.blocks)
    return fits and all(asked.softcap is None for asked in terms)


@torch.no_grad()
def step(
    decoder: FusedDecoder,
    terms: Sequence[Terms],
    tokens_N: torch.Tensor,
    positions_N: torch.Tensor,
    cache: KeyValueCache,
) -> torch.Tensor:
    """The last hidden states of the newest tokens, (N, D), final norm applied; their keys and values go to the first N
    slots of the cache, at their positions. Every layer has written to it before."""
    hidden_ND = decoder.embedding(tokens_N)
    turn = decoder.turn(hidden_ND, positions_N)
    said_ND: torch.Tensor | None = None
    lengths_N = positions_N + 1
    for block, asked in zip(decoder.blocks, terms, strict=True):
        normed_ND = block.projections.room(len(tokens_N))
        hidden_ND = _norm(hidden_ND, said_ND, block.attention_norm, normed_ND)
        heads_NA = block.projections.forward(normed_ND)
        seen_NA = block.output.room(len(tokens_N))
        scale = asked.scaling if asked.scaling is not None else block.head_size**-0.5
        slots = cache.written(asked.layer)
        attend_newest(heads_NA, turn, block.head_norms, *slots, lengths_N, asked.window, scale, seen_NA)
        normed_ND = block.gate_and_up.room(len(tokens_N))
        hidden_ND = _norm(hidden_ND, block.output.forward(seen_NA), block.gated_norm, normed_ND)
        both_NI = block.gate_and_up.forward(normed_ND)
        inner_NI = block.down.room(len(tokens_N))
        gated(both_NI, inner_NI)
        said_ND = block.down.forward(inner_NI)
    last_ND = torch.empty_like(hidden_ND)
    rms_norm(hidden_ND + said_ND, decoder.final_norm.weight, decoder.final_norm.epsilon, last_ND)
    return last_ND


def _norm(hidden_ND: torch.Tensor, said_ND: torch.Tensor | None, norm: Norm, y_ND: torch.Tensor) -> torch.Tensor:
    """Write the norm of the sum to the first columns of `y_ND`; the sum."""
    if said_ND is None:
        rms_norm(hidden_ND, norm.weight, norm.epsilon, y_ND)
        return hidden_ND
    return add_rms_norm(hidden_ND, said_ND, norm.weight, norm.epsilon, y_ND)[0]

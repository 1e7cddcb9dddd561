"""From logits to the next tokens: greedy, or drawn at a temperature from the smallest set that holds `top_p`.

Every sequence draws from numbers of its own, made from the seed and the sequence alone, so that what it says doesn't
depend on which others share its batch. Knows nothing of models.

Axes: N sequences, V vocabulary, B blocks of K tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd

import torch

from burnish.models.kernels.rows import likeliest
from burnish.records import content_digest

_LIKELY = 1024
_BLOCK = 256


def draws(seed: int, prompt: Sequence[int], copy: int, count: int) -> torch.Tensor:
    """`count` uniform numbers in [0, 1), float64, for the `copy`-th sequence with this prompt."""
    generator = torch.Generator().manual_seed(int(content_digest(seed, list(prompt), copy)[:15], 16))
    return torch.rand(count, generator=generator, dtype=torch.float64)


def next_tokens(
    logits_NV: torch.Tensor, temperature: float, top_p: float, draws_N: torch.Tensor | None
) -> torch.Tensor:
    """Token ids, (N,): the likeliest at temperature 0, else drawn with `draws_N`.

    Source: nucleus sampling, Holtzman et al. 2020 (arXiv:1904.09751), section 3.1.
    """
    if temperature == 0 or draws_N is None:
        return likeliest(logits_NV)
    shares_NV = torch.softmax(logits_NV.float() / temperature, -1)
    if top_p >= 1:
        return _drawn(shares_NV, draws_N)
    draws_N1 = draws_N.to(shares_NV.device, shares_NV.dtype)[:, None]
    top_NV, ids_NV = shares_NV.topk(min(_LIKELY, shares_NV.shape[1]))
    if bool((top_NV.sum(-1) < top_p).any()):
        top_NV, ids_NV = shares_NV.sort(-1, descending=True)
    sums_NV = top_NV.cumsum(-1)
    kept_NV = torch.where(sums_NV - top_NV < top_p, top_NV, 0.0)
    sums_NV = kept_NV.cumsum(-1)
    last_N = (kept_NV > 0).sum(-1, keepdim=True) - 1
    places_N1 = torch.searchsorted(sums_NV, draws_N1 * sums_NV[:, -1:], right=True)
    return ids_NV.gather(1, torch.minimum(places_N1, last_N))[:, 0]


def draw(logits_NV: torch.Tensor, draws_N: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids drawn at temperature 1 from all that there are, as `next_tokens` draws them, and their
    log-probabilities, (N,) each."""
    shares_NV = torch.softmax(logits_NV.float(), -1)
    chosen_N = _drawn(shares_NV, draws_N)
    return chosen_N, shares_NV.gather(1, chosen_N[:, None])[:, 0].log()


def _drawn(shares_NV: torch.Tensor, draws_N: torch.Tensor) -> torch.Tensor:
    """Where the draws fall among the shares laid side by side, (N,). Sums are made of blocks, and then within the block
    that a draw falls into, which is a third of the work of summing up all shares one by one."""
    running, size = len(shares_NV), gcd(shares_NV.shape[1], _BLOCK)
    blocks_NBK = shares_NV.view(running, -1, size)
    ends_NB = blocks_NBK.sum(-1).cumsum(-1, dtype=torch.float64)
    places_N1 = draws_N.to(ends_NB.device)[:, None] * ends_NB[:, -1:]
    block_N1 = _first_beyond(ends_NB, places_N1)
    ends_N1 = ends_NB.gather(1, block_N1)
    rows_N = torch.arange(running, device=shares_NV.device)
    within_NK = blocks_NBK[rows_N, block_N1[:, 0]].cumsum(-1, dtype=torch.float64)
    left_N1 = (within_NK[:, -1:] - (ends_N1 - places_N1)).clamp_min_(0.0)
    return (block_N1 * size + _first_beyond(within_NK, left_N1))[:, 0]


def _first_beyond(sums_NK: torch.Tensor, places_N1: torch.Tensor) -> torch.Tensor:
    """Which sum is the first beyond the place; where rounding left none, the last that adds anything. (N, 1)"""
    last_N1 = torch.searchsorted(sums_NK, sums_NK[:, -1:].contiguous())
    return torch.minimum(torch.searchsorted(sums_NK, places_N1, right=True), last_N1)

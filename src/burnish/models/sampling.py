"""From logits to the next tokens: greedy, or drawn at a temperature from the smallest set that holds `top_p`.

Every sequence draws from numbers of its own, made from the seed and the sequence alone, so that what it says doesn't
depend on which others share its batch. Knows nothing of models.

Axes: N sequences, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from burnish.models.kernels.rows import likeliest
from burnish.records import content_digest

_LIKELY = 1024


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
    draws_N1 = draws_N.to(shares_NV.device, shares_NV.dtype)[:, None]
    if top_p >= 1:
        sums_NV = shares_NV.cumsum(-1)
        return torch.searchsorted(sums_NV, draws_N1 * sums_NV[:, -1:], right=True)[:, 0].clamp_max_(
            shares_NV.shape[1] - 1
        )
    top_NV, ids_NV = shares_NV.topk(min(_LIKELY, shares_NV.shape[1]))
    if bool((top_NV.sum(-1) < top_p).any()):
        top_NV, ids_NV = shares_NV.sort(-1, descending=True)
    sums_NV = top_NV.cumsum(-1)
    kept_NV = torch.where(sums_NV - top_NV < top_p, top_NV, 0.0)
    sums_NV = kept_NV.cumsum(-1)
    last_N = (kept_NV > 0).sum(-1, keepdim=True) - 1
    places_N1 = torch.searchsorted(sums_NV, draws_N1 * sums_NV[:, -1:], right=True)
    return ids_NV.gather(1, torch.minimum(places_N1, last_N))[:, 0]

"""The newest tokens' attention over cache slots, against torch's own attention on heads turned by hand."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from burnish.models.kernels.build import kernels
from burnish.models.kernels.newest import attend_newest, can_attend_newest
from burnish.models.kernels.rows import Norm

pytestmark = pytest.mark.skipif(kernels() is None, reason="no C compiler is installed")
SIZES = [(16, 1), (16, 3), (64, 3), (64, 4), (80, 7), (128, 9)]
"""Head size, and query heads of each key/value head."""


def turned(x_NHP: torch.Tensor, norm: Norm | None, turn: tuple[torch.Tensor, torch.Tensor] | None) -> torch.Tensor:
    if norm is not None:
        x_NHP = x_NHP * torch.rsqrt(x_NHP.square().mean(-1, keepdim=True) + norm.epsilon) * norm.weight
    if turn is None:
        return x_NHP
    half = x_NHP.shape[-1] // 2
    swapped = torch.cat((-x_NHP[..., half:], x_NHP[..., :half]), dim=-1)
    return x_NHP * turn[0][:, None] + swapped * turn[1][:, None]


@pytest.mark.parametrize(("size", "shared"), SIZES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("window", [None, 3])
@pytest.mark.parametrize("plain", [True, False])
def test_the_newest_token(size: int, shared: int, dtype: torch.dtype, window: int | None, plain: bool) -> None:
    torch.manual_seed(3)
    groups, lengths = 2, torch.tensor([1, 20, 7])
    # Places that weren't written hold anything; none of it may be read.
    keys, values = (torch.full((5, groups, 20, size), float("nan"), dtype=dtype) for _ in range(2))
    for slot, length in enumerate(lengths.tolist()):
        for cache in (keys, values):
            cache[slot, :, : length - 1] = torch.randn(groups, length - 1, size)
    turn = None if plain else (torch.randn(3, size), torch.randn(3, size))
    norms = None if plain else (Norm(torch.rand(size), 1e-6), Norm(torch.rand(size), 1e-3))
    heads = torch.randn(3, (shared + 2) * groups * size + 5).to(dtype)[:, :-5]
    query, key, value = torch.split(heads.view(3, -1, size).float(), [shared * groups, groups, groups], dim=1)
    query, key = (turned(each, norms and norms[i], turn) for i, each in enumerate((query, key)))
    out = torch.full((3, shared * groups * size + 3), 7.0, dtype=dtype)
    before = keys.clone()
    attend_newest(heads, turn, norms, keys, values, lengths, window, 0.4, out[:, :-3])
    near = {"rtol": 1e-5, "atol": 1e-5} if dtype == torch.float32 else {"rtol": 1e-2, "atol": 1e-2}
    for slot, length in enumerate(lengths.tolist()):
        torch.testing.assert_close(keys[slot, :, length - 1].float(), key[slot], **near)
        assert torch.equal(values[slot, :, length - 1], value[slot].to(dtype))
        first = max(0, length - window) if window else 0
        seen = [cache[slot : slot + 1, :, first:length].float() for cache in (keys, values)]
        expected = scaled_dot_product_attention(query[slot][None, :, None], *seen, scale=0.4, enable_gqa=True)
        torch.testing.assert_close(out[slot, :-3].float().view(-1, size), expected[0, :, 0], **near)
        before[slot, :, length - 1] = keys[slot, :, length - 1]
    assert torch.equal(keys.nan_to_num(99), before.nan_to_num(99))
    assert bool((out[:, -3:] == 7).all())


def test_what_the_kernel_does_not_take() -> None:
    assert can_attend_newest(64)
    assert not can_attend_newest(24)

"""Attention in C against torch's over explicit masks: values, gradients, windows, shared prompts, grouped heads."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from burnish.models.kernels.attention import alone, attend, attend_backward, can_attend, table
from burnish.models.kernels.build import kernels
from burnish.models.packing import Segments

pytestmark = pytest.mark.skipif(kernels() is None, reason="there is no C compiler")
GROUPS = (Segments(5, (60, 3, 1)), Segments(1, (1,)), Segments(70, (30, 110)))
TOKENS = sum(group.length for group in GROUPS)


def visible(window: int | None) -> torch.Tensor:
    """Who may see whom in the row, by the positions of a prompt and its completions."""
    seen = torch.zeros(TOKENS, TOKENS, dtype=torch.bool)
    start = 0
    for group in GROUPS:
        prompt = list(range(start, start + group.prompt))
        begin = start + group.prompt
        for number, length in enumerate(group.completions):
            line = prompt + list(range(begin, begin + length))
            for at, query in enumerate(line):
                if number == 0 or at >= group.prompt:
                    first = 0 if window is None else max(0, at - window + 1)
                    seen[query, line[first : at + 1]] = True
            begin += length
        start = begin
    return seen


@pytest.mark.parametrize("window", [None, 1, 7, 64])
@pytest.mark.parametrize(("heads", "groups", "size"), [(4, 4, 16), (6, 2, 64), (3, 1, 80)])
def test_a_packed_row(heads: int, groups: int, size: int, window: int | None) -> None:
    torch.manual_seed(size)
    parts = [torch.randn(TOKENS, count, size, requires_grad=True) for count in (heads, groups, groups)]
    upstream = torch.randn(TOKENS, heads, size)
    query, key, value = (part.double().transpose(0, 1)[None] for part in parts)
    expected = scaled_dot_product_attention(query, key, value, visible(window), scale=0.3, enable_gqa=True)[
        0
    ].transpose(0, 1)
    plain = [part.detach() for part in parts]
    where = table(GROUPS)
    got, sizes = attend(*plain, where, window, 0.3)
    torch.testing.assert_close(got.double(), expected, rtol=1e-5, atol=1e-5)
    slopes = attend_backward(*plain, sizes, upstream, where, window, 0.3)
    for slope, wanted in zip(slopes, torch.autograd.grad(expected, parts, upstream.double()), strict=True):
        torch.testing.assert_close(slope, wanted, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("window", [None, 1, 7, 64])
@pytest.mark.parametrize(("heads", "groups", "size"), [(4, 4, 16), (6, 2, 64), (3, 1, 80), (2, 1, 96)])
def test_sides_in_bfloat16(heads: int, groups: int, size: int, window: int | None) -> None:
    torch.manual_seed(size)
    parts = [torch.randn(TOKENS, count, size).bfloat16() for count in (heads, groups, groups)]
    whole, upstream, where = [part.float() for part in parts], torch.randn(TOKENS, heads, size), table(GROUPS)
    got, sizes = attend(*parts, where, window, 0.3)
    expected, expected_sizes = attend(*whole, where, window, 0.3)
    torch.testing.assert_close(sizes, expected_sizes, rtol=1e-5, atol=1e-5)
    slopes = attend_backward(*parts, sizes, upstream, where, window, 0.3)
    exact = attend_backward(*whole, expected_sizes, upstream, where, window, 0.3)
    for one, other in ((got, expected), *zip(slopes, exact, strict=True)):
        assert one.dtype == torch.float32
        off, length = float((one - other).norm()), float(other.norm())
        assert off <= 2**-7 * length + 1e-3 * size


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_threads_change_nothing(dtype: torch.dtype) -> None:
    torch.manual_seed(1)
    parts = [torch.randn(TOKENS, count, 32).to(dtype) for count in (4, 2, 2)]
    threads = torch.get_num_threads()
    results = []
    try:
        for number in (1, 2, 3):
            torch.set_num_threads(number)
            out, sizes = attend(*parts, table(GROUPS), None, 0.2)
            results.append((out, *attend_backward(*parts, sizes, out, table(GROUPS), None, 0.2)))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(one, other) for result in results[1:] for one, other in zip(results[0], result, strict=True))


def test_arrivals_that_share_a_beginning() -> None:
    torch.manual_seed(2)
    query, key, value = (torch.randn(9, 2, 16) for _ in range(3))
    got, _ = attend(query, key, value, alone([(0, 4, 4, 2), (0, 4, 6, 3)]), None, 0.25)
    for places in ([0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 6, 7, 8]):
        own = [part[places].transpose(0, 1)[None] for part in (query, key, value)]
        expected = scaled_dot_product_attention(*own, is_causal=True, scale=0.25)[0].transpose(0, 1)
        torch.testing.assert_close(got[places[4:]], expected[4:], rtol=1e-5, atol=1e-5)


def test_what_the_kernels_do_not_take() -> None:
    fits = torch.zeros(2, 2, 16)
    assert can_attend(fits, fits)
    assert not can_attend(torch.zeros(2, 2, 24), torch.zeros(2, 2, 24))
    assert not can_attend(fits, torch.zeros(2, 2, 32))
    assert not can_attend(fits.double(), fits.double())
    assert not can_attend(fits.to("meta"), fits.to("meta"))

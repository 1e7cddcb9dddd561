"""Choosing tokens: the likeliest, and draws that follow the distribution."""

from __future__ import annotations

import pytest
import torch

from burnish.models import sampling
from burnish.models.sampling import draws, next_tokens

SHARES = torch.tensor([[0.05, 0.5, 0.15, 0.3]])


def test_temperature_zero_takes_the_likeliest() -> None:
    assert next_tokens(SHARES.log(), 0.0, 0.5, None).tolist() == [1]


@pytest.mark.parametrize(("top_p", "expected"), [(1.0, [0.05, 0.5, 0.15, 0.3]), (0.7, [0.0, 0.625, 0.0, 0.375])])
def test_even_draws_give_the_shares(top_p: float, expected: list[float]) -> None:
    steps = (torch.arange(1000, dtype=torch.float64) + 0.5) / 1000
    tokens = next_tokens(SHARES.log().expand(1000, 4), 1.0, top_p, steps)
    assert (torch.bincount(tokens, minlength=4) / 1000).tolist() == pytest.approx(expected, abs=0.002)


def test_temperature_sharpens() -> None:
    steps = (torch.arange(1000, dtype=torch.float64) + 0.5) / 1000
    tokens = next_tokens(SHARES.log().expand(1000, 4), 0.5, 1.0, steps)
    squared = SHARES[0].square() / SHARES.square().sum()
    assert (torch.bincount(tokens, minlength=4) / 1000).tolist() == pytest.approx(squared.tolist(), abs=0.002)


def test_the_short_list_and_the_whole_one_choose_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    logits, steps = torch.randn(200, 300) * 2, torch.rand(200, dtype=torch.float64)
    whole = next_tokens(logits, 1.0, 0.6, steps)
    monkeypatch.setattr(sampling, "_LIKELY", 8)
    assert next_tokens(logits, 1.0, 0.6, steps).equal(whole)


def test_the_largest_draw_stays_inside_what_is_kept() -> None:
    almost_one = torch.tensor([1 - 2**-53], dtype=torch.float64)
    assert next_tokens(SHARES.log(), 1.0, 0.4, almost_one).tolist() == [1]
    assert next_tokens(SHARES.log(), 1.0, 1.0, almost_one).tolist() == [3]


def test_draws_depend_on_seed_prompt_and_copy_alone() -> None:
    one = draws(1, (2, 3), 0, 5)
    assert one.equal(draws(1, (2, 3), 0, 5))
    assert one.equal(draws(1, (2, 3), 0, 9)[:5])
    for other in (draws(2, (2, 3), 0, 5), draws(1, (2, 4), 0, 5), draws(1, (2, 3), 1, 5)):
        assert not one.equal(other)

"""Choosing tokens: the likeliest, and draws that follow the distribution."""

from __future__ import annotations

import pytest
import torch

from burnish.models import sampling
from burnish.models.sampling import draw, draws, next_tokens

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


def test_draws_from_several_blocks_give_the_shares_and_their_log_probabilities() -> None:
    torch.manual_seed(0)
    logits = torch.randn(1, 3 * sampling._BLOCK)
    logits[0, ::2] = -torch.inf
    logits[0, sampling._BLOCK : 2 * sampling._BLOCK] = -torch.inf
    steps = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000
    tokens, logprobs = draw(logits.expand(20_000, -1), steps)
    shares = logits[0].softmax(-1)
    assert (torch.bincount(tokens, minlength=logits.shape[1]) / 20_000 - shares).abs().max() < 1e-4
    assert (shares[tokens] > 0).all()
    torch.testing.assert_close(logprobs, logits[0].log_softmax(-1)[tokens])
    assert tokens.equal(next_tokens(logits.expand(20_000, -1), 1.0, 1.0, steps))


def test_the_smallest_and_the_largest_draw_choose_what_can_be_said() -> None:
    logits = torch.full((2, 2 * sampling._BLOCK), -torch.inf)
    logits[:, 5] = logits[:, 300] = 0.0
    tokens, _ = draw(logits, torch.tensor([0.0, 1 - 2**-53], dtype=torch.float64))
    assert tokens.tolist() == [5, 300]


def test_draws_depend_on_seed_prompt_and_copy_alone() -> None:
    one = draws(1, (2, 3), 0, 5)
    assert one.equal(draws(1, (2, 3), 0, 5))
    assert one.equal(draws(1, (2, 3), 0, 9)[:5])
    for other in (draws(2, (2, 3), 0, 5), draws(1, (2, 4), 0, 5), draws(1, (2, 3), 1, 5)):
        assert not one.equal(other)

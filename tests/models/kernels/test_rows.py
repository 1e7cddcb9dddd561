"""Each chain, in C and on plain torch, for both types of a product's side, against autograd in float64."""

from __future__ import annotations

import pytest
import torch

from burnish.models.kernels import rows
from burnish.models.kernels.build import kernels

BOTH = pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])


@pytest.fixture(autouse=True, params=["c", "torch"])
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "torch":
        monkeypatch.setattr(rows, "kernels", lambda: None)
    elif kernels() is None:
        pytest.skip("there is no C compiler")
    torch.manual_seed(0)


def same(got: torch.Tensor, expected: torch.Tensor) -> None:
    rough = 2**-8 if got.dtype == torch.bfloat16 else 1e-5
    torch.testing.assert_close(got.double(), expected.double(), rtol=rough, atol=rough / 10)


def side(rows_: int, width: int, dtype: torch.dtype) -> torch.Tensor:
    """Numbers on a product's side, in the first columns of something wider."""
    return torch.randn(rows_, width + 3).to(dtype)[:, :width]


def plain_norm(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-5) * weight


@BOTH
@pytest.mark.parametrize(("tokens", "width"), [(1, 16), (5, 19), (70, 576)])
def test_norm(tokens: int, width: int, dtype: torch.dtype) -> None:
    x, weight = torch.randn(tokens, width), torch.randn(width)
    added, dy, y, again = (side(tokens, width, dtype) for _ in range(4))
    kept, kept_again = (torch.zeros(tokens, width, dtype=dtype) for _ in range(2))
    total, inverse = rows.add_rms_norm(x, added, weight, 1e-5, y, kept)
    wide = (x.double() + added).requires_grad_()
    expected = plain_norm(wide, weight.double())
    same(total, x + added)
    same(y, expected)
    same(rows.rms_norm(total, weight, 1e-5, again, kept_again), inverse)
    same(again, y)
    assert torch.equal(kept, total.to(dtype))
    assert torch.equal(kept_again, kept)
    again.zero_()
    rows.rms_norm_again(kept, weight, inverse, again)
    rough = 1e-5 if dtype == torch.float32 else 2**-6
    torch.testing.assert_close(again, y, rtol=rough, atol=rough)  # rounded twice
    slope = torch.ones(tokens, width)
    rows.rms_norm_backward(kept, weight, inverse, dy, slope)
    expected.backward(dy.double())
    assert wide.grad is not None
    torch.testing.assert_close(slope.double(), 1.0 + wide.grad, rtol=rough, atol=rough)


@BOTH
def test_heads_turned_and_their_way_back(dtype: torch.dtype) -> None:
    y, angles = side(7, 24, dtype), torch.randn(7, 4).repeat(1, 2)
    turn = angles.cos(), angles.sin()
    heads = y.float().contiguous().unflatten(1, (3, 8))
    assert torch.equal(rows.take_heads(y, 8, None), heads)
    halves = torch.cat((-heads[..., 4:], heads[..., :4]), dim=-1)
    turned = rows.take_heads(y, 8, turn)
    same(turned, heads * turn[0][:, None] + halves * turn[1][:, None])
    back = side(7, 24, dtype)
    rows.put_heads(turned, turn, back)
    same(back, y)
    rows.put_heads(heads, None, back)
    assert torch.equal(back, y)


@BOTH
def test_gated(dtype: torch.dtype) -> None:
    both, dy = torch.cat((6 * torch.randn(9, 35), torch.randn(9, 35)), dim=1).to(dtype), side(9, 35, dtype)
    wide = both.double().requires_grad_()
    expected = torch.nn.functional.silu(wide[:, :35]) * wide[:, 35:]
    expected.backward(dy.double())
    assert wide.grad is not None
    y, again, slopes = side(9, 35, dtype), side(9, 35, dtype), side(9, 70 + 4, dtype)
    beside = slopes[:, 70:].clone()
    rows.gated(both, y)
    same(y, expected)
    rows.gated_backward(both, dy, slopes, again)
    same(slopes[:, :70], wide.grad)
    assert torch.equal(slopes[:, 70:], beside)
    same(again, y)
    first = slopes.clone()
    rows.gated_backward(both, dy, slopes, None)
    assert torch.equal(slopes, first)


@BOTH
@pytest.mark.parametrize("width", [3, 37, 4096])
def test_target_slopes(width: int, dtype: torch.dtype) -> None:
    logits, targets = 20 * torch.randn(11, width), torch.randint(0, width, (11,))
    wide = logits.double().requires_grad_()
    expected = wide.log_softmax(-1)[torch.arange(11), targets]
    expected.sum().backward()
    kept = logits.clone()
    same(rows.target_slopes(kept, targets, None), expected)
    assert torch.equal(kept, logits)
    slopes = logits if dtype == torch.float32 else torch.empty(11, width, dtype=dtype)
    same(rows.target_slopes(logits, targets, slopes), expected)
    assert wide.grad is not None
    same(slopes, wide.grad)


@BOTH
def test_what_is_not_a_number_stays_so(dtype: torch.dtype) -> None:
    logits = torch.randn(2, 40)
    logits[0, 17] = float("nan")
    got = rows.target_slopes(logits, torch.tensor([3, 4]), None)
    assert got.isnan().tolist() == [True, False]
    x, y = torch.randn(2, 16), torch.empty(2, 16, dtype=dtype)
    x[1, 3] = float("nan")
    rows.rms_norm(x, torch.ones(16), 1e-5, y)
    assert y.isnan().any(-1).tolist() == [False, True]
    gate = torch.tensor([[float("nan"), float("-inf"), 200.0, -200.0]])
    out = torch.empty(1, 4, dtype=dtype)
    rows.gated(torch.cat((gate, torch.ones(1, 4)), dim=1).to(dtype), out)
    assert out[0, [0, 2, 3]].tolist() == pytest.approx([float("nan"), 200.0, 0.0], nan_ok=True)


def test_the_likeliest_is_the_first_of_the_largest() -> None:
    torch.manual_seed(0)
    logits = torch.randn(7, 1003)
    logits[1, 1002], logits[2, 0] = 9.0, 9.0
    logits[3, [5, 700]] = 9.0
    logits[4] = float("-inf")
    for each in (logits, logits.double(), logits[:, ::2]):
        assert rows.likeliest(each).tolist() == [one.tolist().index(max(one.tolist())) for one in each]

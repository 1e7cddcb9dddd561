"""Each chain, in C and on plain torch, against autograd in float64."""

from __future__ import annotations

import pytest
import torch

from burnish.models.kernels import rows
from burnish.models.kernels.build import kernels


@pytest.fixture(autouse=True, params=["c", "torch"])
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "torch":
        monkeypatch.setattr(rows, "kernels", lambda: None)
    elif kernels() is None:
        pytest.skip("there is no C compiler")
    torch.manual_seed(0)


def same(got: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(got.double(), expected.double(), rtol=1e-5, atol=1e-6)


def plain_norm(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-5) * weight


@pytest.mark.parametrize(("tokens", "width"), [(1, 16), (5, 19), (70, 576)])
def test_norm(tokens: int, width: int) -> None:
    x, added, weight, dy = (
        torch.randn(tokens, width),
        torch.randn(tokens, width),
        torch.randn(width),
        torch.randn(tokens, width),
    )
    total, y, inverse = rows.add_rms_norm(x, added, weight, 1e-5)
    wide = (x + added).double().requires_grad_()
    expected = plain_norm(wide, weight.double())
    same(total, x + added)
    same(y, expected)
    same(rows.rms_norm(total, weight, 1e-5)[0], expected)
    slope = torch.ones(tokens, width)
    rows.rms_norm_backward(total, weight, inverse, dy, slope)
    expected.backward(dy.double())
    assert wide.grad is not None
    same(slope, 1.0 + wide.grad)


def test_rotation_and_its_way_back() -> None:
    x, angles = torch.randn(7, 3, 8), torch.randn(7, 4).repeat(1, 2)
    turned = x.clone()
    rows.rotate(turned, angles.cos(), angles.sin())
    halves = torch.cat((-x[..., 4:], x[..., :4]), dim=-1)
    same(turned, x * angles.cos()[:, None] + halves * angles.sin()[:, None])
    rows.rotate(turned, angles.cos(), angles.sin(), back=True)
    same(turned, x)


def test_gated() -> None:
    gate, up, dy = 6 * torch.randn(9, 35), torch.randn(9, 35), torch.randn(9, 35)
    wide_gate, wide_up = gate.double().requires_grad_(), up.double().requires_grad_()
    expected = torch.nn.functional.silu(wide_gate) * wide_up
    expected.backward(dy.double())
    same(rows.gated(gate, up), expected)
    dgate, dup, value = rows.gated_backward(gate, up, dy, value=True)
    assert value is not None and wide_gate.grad is not None and wide_up.grad is not None  # noqa: PT018
    same(dgate, wide_gate.grad)
    same(dup, wide_up.grad)
    same(value, expected)
    assert rows.gated_backward(gate, up, dy, value=False)[2] is None


@pytest.mark.parametrize("width", [3, 37, 4096])
def test_target_slopes(width: int) -> None:
    logits, targets = 20 * torch.randn(11, width), torch.randint(0, width, (11,))
    wide = logits.double().requires_grad_()
    expected = wide.log_softmax(-1)[torch.arange(11), targets]
    expected.sum().backward()
    kept = logits.clone()
    same(rows.target_slopes(kept, targets, keep=True), expected)
    assert torch.equal(kept, logits)
    same(rows.target_slopes(logits, targets, keep=False), expected)
    assert wide.grad is not None
    same(logits, wide.grad)


def test_what_is_not_a_number_stays_so() -> None:
    logits = torch.randn(2, 40)
    logits[0, 17] = float("nan")
    got = rows.target_slopes(logits, torch.tensor([3, 4]), keep=False)
    assert got.isnan().tolist() == [True, False]
    x = torch.randn(2, 16)
    x[1, 3] = float("nan")
    assert rows.rms_norm(x, torch.ones(16), 1e-5)[0].isnan().any(-1).tolist() == [False, True]
    gate = torch.tensor([[float("nan"), float("-inf"), 200.0, -200.0]])
    assert rows.gated(gate, torch.ones(1, 4))[0, [0, 2, 3]].tolist() == pytest.approx(
        [float("nan"), 200.0, 0.0], nan_ok=True
    )

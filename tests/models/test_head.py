"""The chunked output head against autograd through the whole matrix of logits."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from burnish.models import head as head_module
from burnish.models.anatomy import Parts
from burnish.models.device import products
from burnish.models.head import head_logprobs, next_logits
from burnish.models.kernels.narrow import can_multiply_narrow


def whole(parts: Parts, hidden: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    logits = parts.head(hidden) * parts.logit_scale
    if parts.softcap is not None:
        logits = torch.tanh(logits / parts.softcap) * parts.softcap
    return logits.log_softmax(-1)[torch.arange(len(targets)), targets]


def make(bias: bool, scale: float, softcap: float | None) -> tuple[Parts, torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    parts = Parts(None, nn.Identity(), nn.Linear(8, 31, bias=bias), scale, softcap)
    return parts, torch.randn(13, 8, requires_grad=True), torch.randint(0, 31, (13,)), torch.randn(13)


@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize(("bias", "scale", "softcap"), [(False, 1.0, None), (True, 0.3, None), (True, 2.0, 0.7)])
def test_values_and_gradients(
    bias: bool, scale: float, softcap: float | None, frozen: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(head_module, "_CHUNK_VALUES", 31 * 5)
    parts, hidden, targets, upstream = make(bias, scale, softcap)
    parts.head.requires_grad_(not frozen)
    inputs: list[Any] = [hidden, *([] if frozen else parts.head.parameters())]
    got, expected = head_logprobs(parts, hidden, targets), whole(parts, hidden, targets)
    torch.testing.assert_close(got, expected, rtol=1e-6, atol=1e-6)
    for one, other in zip(
        torch.autograd.grad((got * upstream).sum(), inputs),
        torch.autograd.grad((expected * upstream).sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=5e-6)


def test_a_trained_head_on_a_frozen_body() -> None:
    parts, hidden, targets, _ = make(False, 1.0, None)
    frozen = hidden.detach()
    (got,) = torch.autograd.grad(head_logprobs(parts, frozen, targets).sum(), [parts.head.weight])
    (expected,) = torch.autograd.grad(whole(parts, frozen, targets).sum(), [parts.head.weight])
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-6)


def test_unlikely_targets_keep_their_digits() -> None:
    parts, _, _, _ = make(False, 1.0, None)
    with torch.no_grad():
        parts.head.weight.zero_()
        parts.head.weight[0, 0] = 200.0
    got = head_logprobs(parts, torch.eye(8)[:1], torch.tensor([1]))
    assert got.tolist() == [-200.0]


def test_no_targets_give_no_logprobs() -> None:
    parts, hidden, _, _ = make(False, 1.0, None)
    got = head_logprobs(parts, hidden[:0], torch.zeros(0, dtype=torch.int64))
    assert got.shape == (0,)
    got.sum().backward()
    assert hidden.grad is not None
    assert not hidden.grad.any()


def test_next_logits_are_finished() -> None:
    parts, hidden, targets, _ = make(True, 2.0, 0.7)
    got = next_logits(parts)(hidden).log_softmax(-1)[torch.arange(13), targets]
    torch.testing.assert_close(got, whole(parts, hidden, targets), rtol=1e-6, atol=1e-6)


@pytest.mark.skipif(not can_multiply_narrow(64, 32), reason="this processor has no bfloat16 units")
def test_next_logits_are_whole_sums_where_products_are_rounded() -> None:
    torch.manual_seed(0)
    head, hidden = nn.Linear(32, 64, bias=False), torch.randn(5, 32)
    with products("bfloat16"), torch.no_grad():
        got = next_logits(Parts(None, nn.Identity(), head, 0.5, None))(hidden)
    expected = hidden.bfloat16().float() @ head.weight.detach().bfloat16().float().T
    torch.testing.assert_close(got, expected * 0.5, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize(("bias", "scale", "softcap"), [(False, 1.0, None), (True, 1.0, None), (True, 2.0, 0.7)])
def test_where_products_are_in_bfloat16(bias: bool, scale: float, softcap: float | None, frozen: bool) -> None:
    torch.manual_seed(0)
    parts = Parts(None, nn.Identity(), nn.Linear(32, 64, bias=bias), scale, softcap)
    parts.head.requires_grad_(not frozen)
    hidden, targets, upstream = torch.randn(13, 32, requires_grad=True), torch.randint(0, 64, (13,)), torch.randn(13)
    inputs: list[Any] = [hidden, *([] if frozen else parts.head.parameters())]
    expected = whole(parts, hidden, targets)
    with products("bfloat16"):
        got = head_logprobs(parts, hidden, targets)
        gradients = torch.autograd.grad((got * upstream).sum(), inputs)
    torch.testing.assert_close(got, expected, rtol=0, atol=0.02)
    for one, other in zip(gradients, torch.autograd.grad((expected * upstream).sum(), inputs), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0.02 * float(other.abs().max()))

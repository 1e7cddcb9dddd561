"""Divergences against numbers worked by hand, against TRL's, and the likeliest tokens' against the whole."""

from __future__ import annotations

from math import log

import pytest
import torch

from burnish.train.divergences import forward_kl, forward_kl_of_top, jensen_shannon, reverse_kl

TEACHER = torch.tensor([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]]).log()
STUDENT = torch.tensor([[0.25, 0.5, 0.25], [0.1, 0.1, 0.8]]).log()


def test_kl_by_hand() -> None:
    # 1/2 log 2 + 1/4 log 1/2 + 0
    assert forward_kl(TEACHER, STUDENT).tolist() == pytest.approx([0.25 * log(2), 0.0], abs=1e-7)
    skewed = torch.tensor([[0.8, 0.1, 0.1]]).log()
    uniform = torch.full((1, 3), 1 / 3).log()
    assert forward_kl(skewed, uniform).item() == pytest.approx(0.8 * log(2.4) + 0.2 * log(0.3))
    assert reverse_kl(skewed, uniform).item() == pytest.approx((log(1 / 2.4) + 2 * log(1 / 0.3)) / 3)


def test_jensen_shannon_by_hand() -> None:
    # beta 1/2: the mixture is (3/8, 3/8, 1/4), and both sides are as far from it
    side = 0.5 * log(4 / 3) + 0.25 * log(2 / 3)
    assert jensen_shannon(TEACHER, STUDENT, 0.5).tolist() == pytest.approx([side, 0.0], abs=1e-7)
    # beta 1/4: the mixture is (5/16, 7/16, 1/4)
    of_teacher = 0.5 * log(8 / 5) + 0.25 * log(4 / 7)
    of_student = 0.25 * log(4 / 5) + 0.5 * log(8 / 7)
    expected = 0.25 * of_teacher + 0.75 * of_student
    assert jensen_shannon(TEACHER, STUDENT, 0.25)[0].item() == pytest.approx(expected, rel=1e-5)


def test_likeliest_tokens_by_hand() -> None:
    # of the teacher (1/2, 1/4, 1/4) the first token is kept; the student leaves 3/4 to the others, the teacher 1/2
    got = forward_kl_of_top(torch.tensor([[0.5]]).log(), torch.tensor([[0]]), STUDENT[:1])
    assert got.item() == pytest.approx(0.5 * log(2) + 0.5 * log(2 / 3))
    # at temperature 2 the student's (1/4, 1/2, 1/4) becomes (1, sqrt 2, 1) / (2 + sqrt 2)
    first = 1 / (2 + 2**0.5)
    softened = forward_kl_of_top(torch.tensor([[0.5]]).log(), torch.tensor([[0]]), STUDENT[:1], temperature=2.0)
    assert softened.item() == pytest.approx(0.5 * log(0.5 / first) + 0.5 * log(0.5 / (1 - first)), rel=1e-5)


def drawn(count: int, vocabulary: int, spread: float, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (spread * torch.randn(count, vocabulary, generator=generator, dtype=torch.float64)).log_softmax(-1)


@pytest.mark.parametrize("beta", [0.0, 0.1, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_they_equal_trls(beta: float, temperature: float) -> None:
    gkd = pytest.importorskip("trl.experimental.gkd")
    teacher, student = drawn(7, 50, 2.0, 0), drawn(7, 50, 2.0, 1).requires_grad_()
    theirs = gkd.GKDTrainer.generalized_jsd_loss(
        student[None], teacher[None], beta=beta, temperature=temperature, reduction="sum"
    )
    (their_slope,) = torch.autograd.grad(theirs, student)
    softened = [(each / temperature).log_softmax(-1) for each in (teacher, student)]
    if beta in (0.0, 1.0):
        ours = (reverse_kl if beta else forward_kl)(*softened).sum()
    else:
        ours = jensen_shannon(*softened, beta).sum()
    (our_slope,) = torch.autograd.grad(ours, student)
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(our_slope, their_slope, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_likeliest_tokens_never_say_more_than_all_and_all_say_it_exactly(temperature: float) -> None:
    teacher, student = drawn(20, 40, 3.0, 2), drawn(20, 40, 3.0, 3)
    softened = [(each / temperature).log_softmax(-1) for each in (teacher, student)]
    whole = forward_kl(*softened)
    before = torch.zeros(20, dtype=torch.float64)
    for count in (1, 5, 20, 39, 40):
        top = softened[0].topk(count)
        found = forward_kl_of_top(top.values, top.indices, student, temperature)
        assert bool((found <= whole + 1e-9).all())
        assert bool((found >= before - 1e-9).all())
        before = found
    torch.testing.assert_close(before, whole)


def test_the_gradient_stays_finite_where_the_student_leaves_nothing_to_others() -> None:
    logits = torch.tensor([[60.0, 0.0, 0.0, 0.0]], requires_grad=True)
    loss = forward_kl_of_top(torch.tensor([[0.9]]).log(), torch.tensor([[0]]), logits.log_softmax(-1))
    loss.sum().backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    # by hand: student minus teacher, the others' tenth shared equally among them
    assert logits.grad[0].tolist() == pytest.approx([0.1, -0.1 / 3, -0.1 / 3, -0.1 / 3], rel=1e-4)

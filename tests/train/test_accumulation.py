"""However a batch is split into micro-batches, and whatever its tokens weigh, the step is the whole batch's."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import LlamaConfig, LlamaForCausalLM

from burnish.models.groups import Completion, PromptGroup
from burnish.models.logprobs import token_logprobs
from burnish.models.packing import Packed, lay_out, pack
from burnish.train.methods.sft import SFT, SFTSettings
from burnish.train.optimiser import norm_and_scale

VOCAB = 41
METHOD = SFT(SFTSettings())
TOKENS = st.integers(3, VOCAB - 1)
WEIGHTS = st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0.125, 3.0, width=32))


@st.composite
def completions(draw: st.DrawFn) -> Completion:
    tokens = draw(st.lists(TOKENS, min_size=1, max_size=7))
    weights = draw(st.lists(WEIGHTS, min_size=len(tokens), max_size=len(tokens)))
    return Completion(tuple(tokens), tuple(weights))


@st.composite
def groups(draw: st.DrawFn) -> PromptGroup:
    prompt = draw(st.lists(TOKENS, min_size=1, max_size=6))
    return PromptGroup(tuple(prompt), tuple(draw(st.lists(completions(), min_size=1, max_size=3))))


BATCHES = st.lists(groups(), min_size=1, max_size=6).filter(
    lambda batch: any(weight for group in batch for completion in group.completions for weight in completion.weights)
)


@pytest.fixture(scope="module")
def model() -> Any:
    """A random model in double precision, so that nothing but a wrong split shows."""
    torch.manual_seed(1)
    shape = {"hidden_size": 16, "intermediate_size": 24, "num_attention_heads": 2, "num_hidden_layers": 1}
    return LlamaForCausalLM(LlamaConfig(vocab_size=VOCAB, tie_word_embeddings=True, **shape)).double()


def step(model: Any, rows: list[Packed], max_norm: float) -> tuple[float, float, list[torch.Tensor]]:
    """Mean loss, norm and clipped gradient of one optimiser step, accumulated as the loop does."""
    model.zero_grad()
    total, weight = 0.0, 0.0
    for row in rows:
        loss = METHOD.loss(token_logprobs(model, row))
        loss.total.backward()  # type: ignore[no-untyped-call]
        total, weight = total + float(loss.total.detach()), weight + loss.weight
    norm, scale = norm_and_scale(model.parameters(), weight, max_norm)
    return total / weight, norm, [parameter.grad * scale for parameter in model.parameters()]


def assert_same_step(model: Any, batch: list[PromptGroup], rows: list[Packed], max_norm: float) -> None:
    loss, norm, gradients = step(model, [lay_out(batch)], max_norm)
    split_loss, split_norm, split = step(model, rows, max_norm)
    assert split_loss == pytest.approx(loss, rel=1e-5)
    assert split_norm == pytest.approx(norm, rel=1e-5)
    for one, other in zip(split, gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6 * float(other.abs().max()))


COMMON = settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


@COMMON
@given(batch=BATCHES, budget=st.integers(1, 120), max_norm=st.sampled_from([0.01, 1e9]))
def test_any_token_budget_takes_the_same_step(
    model: Any, batch: list[PromptGroup], budget: int, max_norm: float
) -> None:
    assert_same_step(model, batch, pack(batch, budget), max_norm)


@COMMON
@given(
    batch=BATCHES,
    places=st.lists(st.integers(0, 3), min_size=6, max_size=6),
    shuffled=st.randoms(use_true_random=False),
)
def test_any_partition_takes_the_same_step(
    model: Any, batch: list[PromptGroup], places: list[int], shuffled: Any
) -> None:
    parts: dict[int, list[PromptGroup]] = {}
    for group, place in zip(batch, places, strict=False):
        parts.setdefault(place, []).append(group)
    rows = [lay_out(part) for part in parts.values()]
    shuffled.shuffle(rows)
    assert_same_step(model, batch, rows, 1e9)

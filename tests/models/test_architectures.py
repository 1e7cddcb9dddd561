"""Packed scoring against the unmodified library: for every kind of architecture, log-probabilities and gradients of all
trained weights are those of the model's own forward pass, default attention and own loss on padded rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Literal, TypeAlias

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from transformers import (
    CohereConfig,
    CohereForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    MixtralConfig,
    MixtralForCausalLM,
    OlmoeConfig,
    OlmoeForCausalLM,
    Phi3Config,
    Phi3ForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen2MoeConfig,
    Qwen2MoeForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from burnish.artefacts import ModelIdentity
from burnish.models.adapters.lora import LoRA, LoRASettings
from burnish.models.anatomy import unwrapped
from burnish.models.groups import Completion, PromptGroup
from burnish.models.load import LoadedModel
from burnish.models.logprobs import packs, token_logprobs
from burnish.models.packing import lay_out

Trained: TypeAlias = Literal["full", "lora", "lora off"]
VOCAB = 61
WINDOW = 5
PLAIN = {
    "vocab_size": VOCAB,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
SIZED = {**PLAIN, "head_dim": 8}
ALTERNATING = {"sliding_window": WINDOW, "layer_types": ["sliding_attention", "full_attention"]}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "norm_topk_prob": True}
BUILD = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SIZED)),
    "llama tied": lambda: LlamaForCausalLM(LlamaConfig(**SIZED, tie_word_embeddings=True)),
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**PLAIN)),
    "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**SIZED)),
    "mistral": lambda: MistralForCausalLM(MistralConfig(**SIZED, sliding_window=WINDOW)),
    "gemma2": lambda: Gemma2ForCausalLM(
        Gemma2Config(
            **SIZED,
            **ALTERNATING,
            final_logit_softcapping=0.8,
            attn_logit_softcapping=0.6,
            query_pre_attn_scalar=3,
        )
    ),
    "gemma3": lambda: Gemma3ForCausalLM(Gemma3TextConfig(**SIZED, **ALTERNATING, query_pre_attn_scalar=3)),
    "phi3": lambda: Phi3ForCausalLM(Phi3Config(**PLAIN, sliding_window=WINDOW)),
    "cohere": lambda: CohereForCausalLM(CohereConfig(**PLAIN, logit_scale=0.3)),
    "gpt2": lambda: GPT2LMHeadModel(
        GPT2Config(vocab_size=VOCAB, n_embd=32, n_layer=2, n_head=4, n_positions=128, bos_token_id=1, eos_token_id=2)
    ),
    "mixtral": lambda: MixtralForCausalLM(MixtralConfig(**SIZED, num_local_experts=4, num_experts_per_tok=2)),
    "qwen2 moe": lambda: Qwen2MoeForCausalLM(
        Qwen2MoeConfig(**PLAIN, **EXPERTS, moe_intermediate_size=24, shared_expert_intermediate_size=24)
    ),
    "olmoe": lambda: OlmoeForCausalLM(OlmoeConfig(**PLAIN, **EXPERTS)),
}
MIXTURES = ("mixtral", "qwen2 moe", "olmoe")


def build(name: str, trained: Trained, dtype: torch.dtype = torch.float32) -> Any:
    """The same random model at every call, with dropout and the mixtures' balancing loss off."""
    torch.manual_seed(5)
    model: Any = BUILD[name]()
    for parameter in model.parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, 0, 0.25)
    if trained != "full":
        model.name_or_path = name
        identity = ModelIdentity(name=name, path=name, digest="")
        model = LoRA(LoRASettings(rank=4)).apply(LoadedModel(model, Any, identity, torch.device("cpu"), dtype), seed=1)
        for parameter in model.parameters():
            if parameter.requires_grad:
                nn.init.normal_(parameter, 0, 0.2)
    if dtype == torch.float64 and name in MIXTURES:
        unwrapped(model).set_experts_implementation("eager")  # the default has no double precision
    return model.eval().to(dtype)


@contextmanager
def switched(model: Any, trained: Trained) -> Iterator[None]:
    with model.disable_adapter() if trained == "lora off" else nullcontext():
        yield


def ids(random: torch.Generator, length: int) -> tuple[int, ...]:
    return tuple(torch.randint(3, VOCAB, (length,), generator=random).tolist())


def groups_of(size: int) -> list[PromptGroup]:
    """Three groups of `size` completions of unlike lengths, longer than the window, one prompt of a single token, some
    weights 0 and some fractions."""
    random = torch.Generator().manual_seed(size)
    made = []
    for prompt_length in (1, 4, 11):
        completions = []
        for _ in range(size):
            tokens = ids(random, int(torch.randint(2, 14, (1,), generator=random)))
            weights = torch.randint(0, 4, (len(tokens),), generator=random) / 2
            completions.append(Completion(tokens, (1.0, *weights[1:].tolist())))
        made.append(PromptGroup(ids(random, prompt_length), tuple(completions)))
    return made


def padded(groups: list[PromptGroup]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Tokens, attention mask and weights, each (C, L), of one right-padded row for each completion."""
    rows = [((*g.prompt, *c.tokens), (*(0.0 for _ in g.prompt), *c.weights)) for g in groups for c in g.completions]
    tokens = pad_sequence([torch.tensor(row[0]) for row in rows], batch_first=True)
    weights = pad_sequence([torch.tensor(row[1]) for row in rows], batch_first=True)
    mask = pad_sequence([torch.ones(len(row[0]), dtype=torch.int64) for row in rows], batch_first=True)
    return tokens, mask, weights


def own_logprobs(model: Any, groups: list[PromptGroup]) -> tuple[torch.Tensor, torch.Tensor]:
    """What the library's model itself gives for all weighted tokens, in the order of completions; and their weights."""
    tokens, mask, weights = padded(groups)
    logits = model(input_ids=tokens, attention_mask=mask, use_cache=False).logits
    picked = logits[:, :-1].log_softmax(-1).gather(2, tokens[:, 1:, None])[..., 0]
    return picked[weights[:, 1:] != 0], weights[:, 1:][weights[:, 1:] != 0]


def gradients(model: nn.Module, total: torch.Tensor) -> dict[str, torch.Tensor]:
    model.zero_grad()
    total.backward()  # type: ignore[no-untyped-call]
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def assert_same(got: dict[str, torch.Tensor], expected: dict[str, torch.Tensor], tolerance: float = 1e-5) -> None:
    """Each weight's gradient is the expected one, relative to its size. A gradient that is nought but for rounding
    (what a bias of keys has) is held against the largest."""
    assert got.keys() == expected.keys()
    largest = max(float(gradient.norm()) for gradient in expected.values())
    for name, gradient in expected.items():
        error = float((got[name] - gradient).norm()) / max(float(gradient.norm()), 1e-3 * largest)
        assert error <= tolerance, f"{name}: relative error {error:.2g}"


@pytest.mark.parametrize("trained", ["full", "lora", "lora off"])
@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("name", BUILD)
def test_packed_equals_the_unmodified_model_on_padded_rows(name: str, size: int, trained: Trained) -> None:
    model, plain, groups = build(name, trained), build(name, trained), groups_of(size)
    assert packs(model)
    with switched(model, trained):
        scored = token_logprobs(model, lay_out(groups))
    with switched(plain, trained):
        expected, weights = own_logprobs(plain, groups)
    torch.testing.assert_close(scored.logprobs_T, expected, rtol=1e-5, atol=0)
    assert scored.weights_T.equal(weights)
    if trained != "lora off":
        got = gradients(model, (scored.logprobs_T * scored.weights_T).sum())
        assert_same(got, gradients(plain, (expected * weights).sum()))
    assert plain.config._attn_implementation != model.config._attn_implementation


@pytest.mark.parametrize("name", BUILD)
def test_packed_equals_one_by_one_in_double_precision(name: str) -> None:
    model = build(name, "lora", torch.float64)
    groups = groups_of(3)
    alone = [PromptGroup(group.prompt, (completion,)) for group in groups for completion in group.completions]
    together = token_logprobs(model, lay_out(groups))
    apart = [token_logprobs(model, lay_out([group])) for group in alone]
    torch.testing.assert_close(
        together.logprobs_T, torch.cat([scored.logprobs_T for scored in apart]), rtol=1e-6, atol=0
    )
    got = gradients(model, (together.logprobs_T * together.weights_T).sum())
    summed = sum(((scored.logprobs_T * scored.weights_T).sum() for scored in apart), torch.zeros(()))
    assert_same(got, gradients(model, summed), 1e-6)


@pytest.mark.parametrize("name", BUILD)
def test_every_position_of_the_loss_mask(name: str) -> None:
    model, plain = build(name, "full", torch.float64), build(name, "full", torch.float64)
    random = torch.Generator().manual_seed(3)
    for prompt_length in (1, 7):
        prompt, first, second = ids(random, prompt_length), ids(random, 4), ids(random, 3)
        for place in range(len(first) + len(second)):
            weights = [0.0] * 7
            weights[place] = 1.5
            completions = (Completion(first, tuple(weights[:4])), Completion(second, tuple(weights[4:])))
            groups = [PromptGroup(prompt, completions)]
            scored = token_logprobs(model, lay_out(groups))
            expected, _ = own_logprobs(plain, groups)
            assert scored.completion_T.tolist() == [int(place >= 4)]
            torch.testing.assert_close(scored.logprobs_T, expected.float(), rtol=1e-6, atol=0)
            assert_same(gradients(model, scored.logprobs_T.sum()), gradients(plain, expected.sum()))


@pytest.mark.parametrize("name", BUILD)
def test_the_mean_loss_is_the_librarys_own(name: str) -> None:
    model, plain = build(name, "full"), build(name, "full")
    even = [
        PromptGroup(g.prompt, (Completion(c.tokens, (1.0,) * len(c.tokens)),))
        for g in groups_of(1)
        for c in g.completions
    ]
    tokens, mask, weights = padded(even)
    own = plain(input_ids=tokens, attention_mask=mask, labels=tokens.masked_fill(weights == 0, -100)).loss
    scored = token_logprobs(model, lay_out(even))
    loss = -(scored.logprobs_T * scored.weights_T).sum() / scored.weights_T.sum()
    torch.testing.assert_close(loss, own, rtol=1e-5, atol=0)
    assert_same(gradients(model, loss), gradients(plain, own))


@pytest.mark.parametrize("name", MIXTURES)
def test_every_expert_is_reached(name: str) -> None:
    model = build(name, "full")
    scored = token_logprobs(model, lay_out(groups_of(2)))
    found = gradients(model, scored.logprobs_T.sum())
    experts = [gradient for key, gradient in found.items() if "experts" in key and gradient.ndim == 3]
    assert experts
    assert all(float(expert.abs().max()) > 0 for gradient in experts for expert in gradient)

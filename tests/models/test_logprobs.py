"""Packed scoring against one-by-one scoring by the model itself, over the architectures that differ."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
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
    MambaConfig,
    MambaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from burnish.models import logprobs
from burnish.models.device import products
from burnish.models.groups import Completion, PromptGroup
from burnish.models.logprobs import packs, token_logprobs
from burnish.models.packing import lay_out, pack

VOCAB = 61
SMALL = {
    "vocab_size": VOCAB,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 128,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
SLIDING_AND_FULL = ["sliding_attention", "full_attention"]
BUILD = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SMALL)),
    "llama tied": lambda: LlamaForCausalLM(LlamaConfig(**SMALL, tie_word_embeddings=True)),
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**SMALL)),
    "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**SMALL)),
    "mistral": lambda: MistralForCausalLM(MistralConfig(**SMALL, sliding_window=5)),
    "gemma2": lambda: Gemma2ForCausalLM(
        Gemma2Config(
            **SMALL,
            sliding_window=5,
            layer_types=SLIDING_AND_FULL,
            final_logit_softcapping=0.8,
            attn_logit_softcapping=0.6,
            query_pre_attn_scalar=3,
        )
    ),
    "gemma3": lambda: Gemma3ForCausalLM(
        Gemma3TextConfig(**SMALL, sliding_window=5, layer_types=SLIDING_AND_FULL, query_pre_attn_scalar=3)
    ),
    "cohere": lambda: CohereForCausalLM(
        CohereConfig(**{k: v for k, v in SMALL.items() if k != "head_dim"}, logit_scale=0.3)
    ),
    "gpt2": lambda: GPT2LMHeadModel(
        GPT2Config(vocab_size=VOCAB, n_embd=32, n_layer=2, n_head=4, n_positions=128, bos_token_id=1, eos_token_id=2)
    ),
}


def build(name: str) -> Any:
    torch.manual_seed(5)
    model = BUILD[name]().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 0.25)
    return model


def make_groups(size: int, seed: int = 0) -> list[PromptGroup]:
    """Three groups of `size` completions of unlike lengths, some weights 0 and some fractions."""
    random = torch.Generator().manual_seed(seed)

    def ids(low: int, high: int) -> tuple[int, ...]:
        length = int(torch.randint(low, high, (1,), generator=random))
        return tuple(torch.randint(3, VOCAB, (length,), generator=random).tolist())

    def completion() -> Completion:
        tokens = ids(2, 14)
        weights = torch.randint(0, 4, (len(tokens),), generator=random) / 2
        return Completion(tokens, (1.0, *weights[1:].tolist()))

    return [PromptGroup(ids(1, 12), tuple(completion() for _ in range(size))) for _ in range(3)]


def one_by_one(model: Any, groups: list[PromptGroup]) -> torch.Tensor:
    """The weighted sum of log-probabilities, each completion alone through the model's own forward pass."""
    model.set_attn_implementation("eager")
    total = torch.zeros(())
    for group in groups:
        for completion in group.completions:
            tokens = torch.tensor([[*group.prompt, *completion.tokens]])
            shares = model(input_ids=tokens, use_cache=False).logits[0].log_softmax(-1)
            picked = shares[:-1].gather(1, tokens[0, 1:, None])[len(group.prompt) - 1 :, 0]
            total = total + (picked * torch.tensor(completion.weights)).sum()
    return total


def gradients(model: nn.Module, total: torch.Tensor) -> dict[str, torch.Tensor]:
    model.zero_grad()
    total.backward()  # type: ignore[no-untyped-call]
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("name", BUILD)
def test_packed_loss_and_gradients_equal_one_by_one(name: str, size: int) -> None:
    model, groups = build(name), make_groups(size)
    assert packs(model)
    scored = token_logprobs(model, lay_out(groups))
    total = (scored.logprobs_T * scored.weights_T).sum()
    got = gradients(model, total)
    expected_total = one_by_one(model, groups)
    expected = gradients(model, expected_total)
    torch.testing.assert_close(total, expected_total, rtol=1e-5, atol=0)
    assert got.keys() == expected.keys()
    for key, gradient in expected.items():
        error = (got[key] - gradient).norm() / gradient.norm().clamp_min(1e-6)
        assert error < 1e-5, f"{key}: relative error {error:.2g}"


def test_the_rows_of_a_pack_add_up_to_the_whole() -> None:
    model, groups = build("llama").requires_grad_(False), make_groups(2)
    whole = token_logprobs(model, lay_out(groups))
    rows = [token_logprobs(model, row) for row in pack(groups, token_budget=40)]
    assert len(rows) > 1
    summed = sum(float((row.logprobs_T * row.weights_T).sum()) for row in rows)
    assert summed == pytest.approx(float((whole.logprobs_T * whole.weights_T).sum()), rel=1e-5)


def test_loss_equals_transformers_own_loss() -> None:
    model = build("qwen3")
    group = make_groups(1)[0]
    reply = group.completions[0].tokens
    tokens = torch.tensor([[*group.prompt, *reply]])
    labels = tokens.clone()
    labels[0, : len(group.prompt)] = -100
    own = model(input_ids=tokens, labels=labels).loss
    even = PromptGroup(group.prompt, (Completion(reply, (1.0,) * len(reply)),))
    scored = token_logprobs(model, lay_out([even]))
    torch.testing.assert_close(-scored.logprobs_T.mean(), own, rtol=1e-5, atol=0)


def test_a_frozen_head_gets_no_gradient_and_the_rest_gets_the_right_one() -> None:
    model, groups = build("gemma2"), make_groups(2)
    model.get_input_embeddings().weight.requires_grad_(False)
    scored = token_logprobs(model, lay_out(groups))
    got = gradients(model, (scored.logprobs_T * scored.weights_T).sum())
    expected = gradients(model, one_by_one(model, groups))
    assert not any("embed" in name or "lm_head" in name for name in got)
    for key, gradient in expected.items():
        assert (got[key] - gradient).norm() / gradient.norm().clamp_min(1e-6) < 1e-5


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_rows_are_filled_up_where_products_run_in_bfloat16(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that few numbers of rows are met; what fills them changes no number."""
    model, groups = build(name), make_groups(2)
    found: list[dict[str, torch.Tensor]] = []
    lengths: list[int] = []
    assert packs(model)
    read = logprobs.hidden_states

    def noted(module: nn.Module) -> Any:
        states = read(module)

        def hidden(tokens_S: torch.Tensor, positions_S: torch.Tensor, layout: Any) -> torch.Tensor:
            lengths.append(len(tokens_S))
            return states(tokens_S, positions_S, layout)

        return hidden

    monkeypatch.setattr(logprobs, "hidden_states", noted)
    for rows in (1, 32):
        monkeypatch.setattr(logprobs, "_ROWS", rows)
        with products("bfloat16"):
            scored = token_logprobs(model, lay_out(groups))
            total = (scored.logprobs_T * scored.weights_T).sum()
            found.append({"total": total.detach(), **gradients(model, total)})
    assert lengths[0] % 32
    assert lengths[1] == -(-lengths[0] // 32) * 32
    for key, value in found[0].items():
        assert (found[1][key] - value).norm() / value.norm().clamp_min(1e-6) < 0.02, key
    token_logprobs(model, lay_out(groups))
    assert lengths[2] == lengths[0]  # in float32 nothing is kept


def test_chunks_of_the_head_do_not_change_the_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    model, row = build("llama tied"), lay_out(make_groups(2))
    whole = gradients(model, token_logprobs(model, row).logprobs_T.sum())
    monkeypatch.setattr("burnish.models.head._CHUNK_VALUES", VOCAB * 7)
    chunked = gradients(model, token_logprobs(model, row).logprobs_T.sum())
    for key, gradient in whole.items():
        torch.testing.assert_close(chunked[key], gradient, rtol=1e-5, atol=1e-6)


def test_a_head_that_is_not_plain_is_scored_through_itself() -> None:
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(1)
    groups = make_groups(2)
    lora = LoraConfig(r=4, target_modules=["q_proj", "down_proj", "lm_head"], init_lora_weights=False)
    model = get_peft_model(build("llama"), lora).eval()
    scored = token_logprobs(model, lay_out(groups))
    got = gradients(model, (scored.logprobs_T * scored.weights_T).sum())
    expected = gradients(model, one_by_one(model.get_base_model(), groups))
    assert any("lm_head.lora_A" in name for name in got)
    for key, gradient in expected.items():
        assert (got[key] - gradient).norm() / gradient.norm().clamp_min(1e-6) < 1e-5


def test_gradient_checkpointing_keeps_the_layout() -> None:
    model, row = build("llama"), lay_out(make_groups(2))
    plain = gradients(model, token_logprobs(model, row).logprobs_T.sum())
    model.train()
    model.activation_checkpointing_enable({"use_reentrant": False})
    again = gradients(model, token_logprobs(model, row).logprobs_T.sum())
    for key, gradient in plain.items():
        torch.testing.assert_close(again[key], gradient, rtol=1e-5, atol=1e-6)


def test_what_cannot_be_packed_takes_the_padded_path_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(3)
    model = MambaForCausalLM(MambaConfig(vocab_size=VOCAB, hidden_size=16, state_size=4, num_hidden_layers=2)).eval()
    groups = make_groups(2)
    assert not packs(model)
    scored = token_logprobs(model, lay_out(groups))
    assert token_logprobs(model, lay_out(groups)).logprobs_T.equal(scored.logprobs_T)
    assert capsys.readouterr().err.count("padded path") == 1
    expected = torch.zeros(())
    for group in groups:
        for completion in group.completions:
            tokens = torch.tensor([[*group.prompt, *completion.tokens]])
            shares = model(input_ids=tokens, use_cache=False).logits[0].log_softmax(-1)
            picked = shares[:-1].gather(1, tokens[0, 1:, None])[len(group.prompt) - 1 :, 0]
            expected = expected + (picked * torch.tensor(completion.weights)).sum()
    torch.testing.assert_close((scored.logprobs_T * scored.weights_T).sum(), expected, rtol=1e-5, atol=0)


def test_a_decoder_that_leaks_between_segments_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def causal_only(self: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, terms: Any) -> torch.Tensor:
        from burnish.models.attention import attention

        return attention(query, key, value, terms, None, causal=True).transpose(1, 2)

    monkeypatch.setattr(logprobs.PackedLayout, "attend", causal_only)
    assert not packs(build("llama"))


def test_unpacked_passes_of_a_packing_model_are_unchanged() -> None:
    tokens = torch.arange(3, 25)[None]
    for name in ("llama", "gemma2"):
        model = build(name)
        with torch.no_grad():
            model.set_attn_implementation("eager")
            before = model(input_ids=tokens).logits
            model.set_attn_implementation("sdpa" if name == "llama" else "eager")
            packs(model)
            after = model(input_ids=tokens).logits
        torch.testing.assert_close(after, before, rtol=1e-5, atol=1e-5)

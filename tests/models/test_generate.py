"""Generation against transformers' own, token by token, and what must not depend on the batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    Gemma2Config,
    Gemma2ForCausalLM,
    GenerationConfig,
    GPT2Config,
    GPT2LMHeadModel,
    MambaConfig,
    MambaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
)

from burnish.errors import ModelError
from burnish.models.generate import Generated, GenerationSettings, generate, stream
from burnish.models.logprobs import packs

SHAPE = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 128,
}


@pytest.fixture
def tokenizer(tiny_model_folder: Path) -> Any:
    return AutoTokenizer.from_pretrained(tiny_model_folder)


@pytest.fixture
def llama(tiny_model_folder: Path) -> Any:
    return spread(AutoModelForCausalLM.from_pretrained(tiny_model_folder))


def spread(model: Any) -> Any:
    """Weights large enough that no two tokens are nearly tied."""
    torch.manual_seed(4)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 0.3)
    return model.eval()


def prompts(count: int, vocab: int, longest: int = 20) -> list[tuple[int, ...]]:
    random = torch.Generator().manual_seed(9)
    lengths = torch.randint(1, longest, (count,), generator=random).tolist()
    return [tuple(torch.randint(3, vocab, (length,), generator=random).tolist()) for length in lengths]


def own_greedy(model: Any, prompt: tuple[int, ...], new: int, stop: list[int]) -> tuple[int, ...]:
    how = GenerationConfig(max_new_tokens=new, do_sample=False, eos_token_id=stop, pad_token_id=0)
    tokens = torch.tensor([prompt])
    rows = model.generate(tokens, attention_mask=torch.ones_like(tokens), generation_config=how)
    return tuple(rows[0, len(prompt) :].tolist())


def test_greedy_equals_transformers_with_few_slots_and_many(llama: Any, tokenizer: Any) -> None:
    asked = prompts(11, len(tokenizer))
    expected = [own_greedy(llama, prompt, 24, [tokenizer.eos_token_id]) for prompt in asked]
    for batch_size in (1, 3, 64):
        done: dict[int, Generated] = {}
        settings = GenerationSettings(max_new_tokens=24, batch_size=batch_size)
        replies = generate(llama, tokenizer, asked, settings, done.__setitem__)
        assert [reply.tokens for reply in replies] == expected
        assert [done[number] for number in range(len(asked))] == replies


def test_what_all_prompts_begin_with_is_read_once(llama: Any, tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    beginning = tuple(range(40, 60))
    asked = [beginning + prompt for prompt in [*prompts(6, len(tokenizer)), (5,), (6, 7)]]
    expected = [own_greedy(llama, prompt, 12, [tokenizer.eos_token_id]) for prompt in asked]
    read: list[int] = []
    embedding = llama.get_input_embeddings()
    embedding.register_forward_pre_hook(lambda _, given: read.append(given[0].numel()))
    packs(llama)
    read.clear()
    replies = generate(llama, tokenizer, asked, GenerationSettings(max_new_tokens=12, batch_size=5))
    assert [reply.tokens for reply in replies] == expected
    whole = sum(map(len, asked)) - 7 * len(beginning)
    assert sum(read) == whole + sum(len(reply.tokens) - 1 for reply in replies)


def test_sequences_stop_each_on_their_own(llama: Any, tokenizer: Any) -> None:
    asked = prompts(12, len(tokenizer))
    free = [own_greedy(llama, prompt, 16, []) for prompt in asked]
    tokenizer.eos_token = tokenizer.convert_ids_to_tokens(free[0][5])
    stop = [tokenizer.eos_token_id, llama.generation_config.eos_token_id]
    expected = [own_greedy(llama, prompt, 16, stop) for prompt in asked]
    replies = generate(llama, tokenizer, asked, GenerationSettings(max_new_tokens=16, batch_size=4))
    assert [reply.tokens for reply in replies] == expected
    assert {reply.finish for reply in replies} == {"stop", "length"}
    assert all((reply.finish == "stop") == (reply.tokens[-1] in stop) for reply in replies)


@pytest.mark.parametrize(
    "build",
    [
        lambda vocab: MistralForCausalLM(MistralConfig(vocab_size=vocab, sliding_window=6, **SHAPE)),
        lambda vocab: Gemma2ForCausalLM(
            Gemma2Config(
                vocab_size=vocab,
                sliding_window=6,
                layer_types=["sliding_attention", "full_attention"],
                attn_logit_softcapping=3.0,
                final_logit_softcapping=9.0,
                **SHAPE,
            )
        ),
        lambda vocab: GPT2LMHeadModel(GPT2Config(vocab_size=vocab, n_embd=32, n_layer=2, n_head=4, n_positions=128)),
        lambda vocab: MambaForCausalLM(
            MambaConfig(vocab_size=vocab, hidden_size=16, state_size=4, num_hidden_layers=2)
        ),
    ],
    ids=["mistral", "gemma2", "gpt2", "mamba"],
)
def test_greedy_equals_transformers_on_other_architectures(build: Any, tokenizer: Any) -> None:
    model = spread(build(len(tokenizer)))
    model.generation_config.eos_token_id = None
    asked = [tuple(range(30, 40)) + prompt for prompt in prompts(5, len(tokenizer))]
    if hasattr(model, "set_attn_implementation") and model.config.model_type != "mamba":
        model.set_attn_implementation("eager")
    expected = [own_greedy(model, prompt, 18, [tokenizer.eos_token_id]) for prompt in asked]
    replies = generate(model, tokenizer, asked, GenerationSettings(max_new_tokens=18, batch_size=3))
    assert [reply.tokens for reply in replies] == expected


def test_equal_prompts_are_written_once_when_greedy_and_apart_when_sampled(llama: Any, tokenizer: Any) -> None:
    asked = [prompts(1, len(tokenizer))[0]] * 3
    greedy = generate(llama, tokenizer, asked, GenerationSettings(max_new_tokens=8))
    assert greedy[0] is greedy[1] is greedy[2]
    sampled = generate(llama, tokenizer, asked, GenerationSettings(max_new_tokens=8, temperature=1.5))
    assert len({reply.tokens for reply in sampled}) == 3


def test_sampling_does_not_depend_on_the_batch(llama: Any, tokenizer: Any) -> None:
    asked = prompts(9, len(tokenizer))
    settings = GenerationSettings(max_new_tokens=12, temperature=0.9, top_p=0.8, seed=3)
    together = generate(llama, tokenizer, asked, settings)
    alone = [generate(llama, tokenizer, [prompt], settings)[0] for prompt in asked]
    assert [reply.tokens for reply in together] == [reply.tokens for reply in alone]
    other = generate(llama, tokenizer, asked, settings.model_copy(update={"seed": 4}))
    assert [reply.tokens for reply in other] != [reply.tokens for reply in together]


def test_an_adapter_is_in_force_and_the_model_is_left_as_it_was(llama: Any, tokenizer: Any) -> None:
    asked = prompts(6, len(tokenizer))
    base = generate(llama, tokenizer, asked, GenerationSettings(max_new_tokens=12))
    lora = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False, lora_dropout=0.5)
    torch.manual_seed(8)
    model = get_peft_model(llama, lora)
    model.eval()
    expected = [own_greedy(model.get_base_model(), prompt, 12, [tokenizer.eos_token_id]) for prompt in asked]
    assert expected != [reply.tokens for reply in base]
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    replies = generate(model, tokenizer, asked, GenerationSettings(max_new_tokens=12))
    assert [reply.tokens for reply in replies] == expected
    assert model.training
    assert all(module.training for module in model.modules())
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())
    with model.disable_adapter():
        assert generate(model, tokenizer, asked, GenerationSettings(max_new_tokens=12)) == base


def test_a_reply_ends_with_the_context(llama: Any, tokenizer: Any) -> None:
    llama.config.max_position_embeddings = 16
    (reply,) = generate(llama, tokenizer, [tuple(range(3, 15))], GenerationSettings(max_new_tokens=50))
    assert len(reply.tokens) <= 4
    with pytest.raises(ModelError, match="prompt 2: 16 tokens, expected 1 to 15"):
        generate(llama, tokenizer, [(3,), tuple(range(3, 19))], GenerationSettings())
    with pytest.raises(ModelError, match="prompt 1: 0 tokens"):
        generate(llama, tokenizer, [()], GenerationSettings())


class Scripted:
    """Stands in for choosing tokens: says a text, whatever the model thinks."""

    def __init__(self, tokens: list[int]) -> None:
        self.tokens = iter(tokens)

    def __call__(self, logits: torch.Tensor, *_: object) -> torch.Tensor:
        return torch.tensor([next(self.tokens)])


def test_a_stream_yields_whole_characters(llama: Any, tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "é 😀 a€b"
    tokens = [*tokenizer(text, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
    assert len(tokens) > len(text) + 3
    monkeypatch.setattr("burnish.models.generate.next_tokens", Scripted(tokens))
    pieces = list(stream(llama, tokenizer, (5, 6), GenerationSettings()))
    assert "".join(pieces) == text
    assert len(pieces) > 3
    assert not any("\ufffd" in piece for piece in pieces)


def test_a_stream_says_what_generate_says(llama: Any, tokenizer: Any) -> None:
    settings = GenerationSettings(max_new_tokens=20, temperature=1.0, seed=1)
    (reply,) = generate(llama, tokenizer, [(7, 8, 9)], settings)
    assert "".join(stream(llama, tokenizer, (7, 8, 9), settings)) == reply.text


@pytest.mark.slow
def test_greedy_equals_transformers_on_the_real_model(smollm2: Path) -> None:
    model: Any = AutoModelForCausalLM.from_pretrained(smollm2, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(smollm2)
    questions = ("What is the capital of France?", "Write a haiku about rain.", "List three colours.", "Who are you?")
    asked = [
        tuple(
            tokenizer(f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n", add_special_tokens=False)[
                "input_ids"
            ]
        )
        for question in questions
    ]
    expected = [own_greedy(model, prompt, 32, [tokenizer.eos_token_id]) for prompt in asked]
    replies = generate(model, tokenizer, asked, GenerationSettings(max_new_tokens=32))
    assert [reply.tokens for reply in replies] == expected


def test_the_log_probabilities_of_drawn_tokens_are_the_model_s_own(llama: Any, tokenizer: Any) -> None:
    asked = [prompt for prompt in prompts(4, len(tokenizer)) for _ in range(2)]
    settings = GenerationSettings(max_new_tokens=8, temperature=1.0, seed=3, batch_size=3)
    assert generate(llama, tokenizer, asked[:1], settings)[0].logprobs == ()
    drawn = generate(llama, tokenizer, asked, settings, logprobs=True)
    for prompt, reply in zip(asked, drawn, strict=True):
        with torch.no_grad():
            shares = llama(torch.tensor([[*prompt, *reply.tokens]])).logits[0].log_softmax(-1)
        own = [float(shares[len(prompt) - 1 + place, token]) for place, token in enumerate(reply.tokens)]
        assert reply.logprobs == pytest.approx(own, abs=1e-4)

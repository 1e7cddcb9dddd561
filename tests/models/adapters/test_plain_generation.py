"""A learned adapter says the same in plain peft and transformers as in the engine: greedy, float32, token by token."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from burnish.models.adapters.lora import LoRA, LoRASettings
from burnish.models.chat_template import Encoder
from burnish.models.generate import GenerationSettings, generate
from burnish.models.load import LoadedModel, load_model
from burnish.models.logprobs import token_logprobs
from burnish.models.packing import lay_out
from burnish.models.settings import ModelSettings
from burnish.records import Conversation, Message, Source

CHATS = (
    ("How do I open a bank account?", "Once upon a time there was a dog, and there was a cat."),
    ("What is the capital of France?", "I am sorry, but I cannot help with that request."),
    ("Write a short story.", "yes no true false 0 1 2 3"),
    ("Who are you?", "You are a helpful assistant."),
)


def learn(loaded: LoadedModel, settings: LoRASettings, steps: int, rate: float) -> Any:
    """An adapter trained by the engine on `CHATS`, and nothing of it saved yet."""
    module: Any = LoRA(settings).apply(loaded, seed=1)
    encoder = Encoder(loaded.tokenizer, 128)
    encoded = [
        encoder.conversation(Conversation((Message("user", ask), Message("assistant", say)), Source("chats", 1))).group
        for ask, say in CHATS
    ]
    row = lay_out([group for group in encoded if group])
    optimiser = torch.optim.AdamW([p for p in module.parameters() if p.requires_grad], lr=rate)
    module.train()
    for _ in range(steps):
        optimiser.zero_grad()
        scored = token_logprobs(module, row)
        (-(scored.logprobs_T * scored.weights_T).sum() / scored.weights_T.sum()).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return module.eval()


def plain_replies(base: Path, adapter: Path, prompts: list[tuple[int, ...]], new: int) -> list[tuple[int, ...]]:
    """What a user without this engine gets."""
    model: Any = PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), str(adapter)
    )
    end = AutoTokenizer.from_pretrained(base).eos_token_id
    how = GenerationConfig(max_new_tokens=new, do_sample=False, eos_token_id=end, pad_token_id=end)
    replies = []
    for prompt in prompts:
        tokens = torch.tensor([prompt])
        rows = model.generate(input_ids=tokens, attention_mask=torch.ones_like(tokens), generation_config=how)
        replies.append(tuple(rows[0, len(prompt) :].tolist()))
    return replies


def assert_same_text(base: Path, folder: Path, settings: LoRASettings, steps: int, rate: float) -> None:
    loaded = load_model(ModelSettings(name=str(base), device="cpu", dtype="float32"))
    encoder = Encoder(loaded.tokenizer, 128)
    questions = [ask for ask, _ in CHATS] + ["Name three fruits.", "Tell me a story about a cat."]
    prompts = [encoder.prompt([Message("user", question)]) for question in questions]
    how = GenerationSettings(max_new_tokens=32)
    untuned = generate(loaded.model, loaded.tokenizer, prompts, how)
    module = learn(loaded, settings, steps, rate)
    replies = generate(module, loaded.tokenizer, prompts, how)
    assert [reply.text for reply in replies[:2]] == [say for _, say in CHATS[:2]]
    assert all(one.tokens != other.tokens for one, other in zip(replies[:4], untuned[:4], strict=True))
    LoRA(settings).save(module, loaded, folder)
    assert plain_replies(base, folder, prompts, 32) == [reply.tokens for reply in replies]
    made = load_model(ModelSettings(name=str(folder), device="cpu", dtype="float32"))
    assert [reply.tokens for reply in generate(made.model, made.tokenizer, prompts, how)] == [r.tokens for r in replies]


def test_the_tiny_model_says_the_same(tiny_model_folder: Path, tmp_path: Path) -> None:
    assert_same_text(tiny_model_folder, tmp_path / "adapter", LoRASettings(rank=16), steps=120, rate=1e-2)


@pytest.mark.slow
def test_the_real_model_says_the_same(smollm2: Path, tmp_path: Path) -> None:
    assert_same_text(smollm2, tmp_path / "adapter", LoRASettings(rank=8), steps=25, rate=2e-3)

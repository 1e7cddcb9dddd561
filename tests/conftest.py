"""Fixtures that every test may use: a tiny random chat model on disk, the real small model, and the shared data.

Everything is made once per session; a test that changes a model folder copies it first.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"

CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

TOKENISER_CORPUS = (
    "You are a helpful assistant. What is the capital of France? The capital of France is Paris.",
    "How do I open a bank account? I am sorry, but I cannot help with that request.",
    "Write a short story about a dog and a cat. Once upon a time there was a dog, and there was a cat.",
    "system user assistant tool 0 1 2 3 4 5 6 7 8 9 yes no true false",
)


def pytest_configure(config: pytest.Config) -> None:
    """Let pass what plain peft does to plain transformers, which no change here can mend."""
    config.addinivalue_line("filterwarnings", "ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """A function that gives the path of a file under shared/data, or skips the test when it isn't there."""

    def find(relative: str) -> Path:
        path = SHARED_DATA / relative
        if not path.exists():
            pytest.skip(f"the shared test data isn't beside this checkout ({relative} missing)")
        return path

    return find


@pytest.fixture(scope="session")
def tiny_model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ordinary safetensors folder: random two-layer Llama (hidden 64, grouped-query heads, tied embeddings), a
    byte-level BPE tokeniser trained here, a ChatML template without a default system turn."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("models") / "tiny-llama"
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=384,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(TOKENISER_CORPUS, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        model_max_length=1024,
    )
    tokenizer.chat_template = CHATML
    tokenizer.save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng():
        torch.manual_seed(20250101)
        model = LlamaForCausalLM(config)
    model.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """The folder of the real built-in model, pulled into the user's cache if need be; skips when it can't be had."""
    from burnish.errors import ModelError
    from burnish.models.builtin import pull

    try:
        return pull("smollm2-135m-instruct")
    except ModelError as error:
        pytest.skip(f"the built-in model can't be had here: {error.message}")

"""One token for each sequence against the same by the general way over the cache, and the models that can't."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config

from burnish.models.cached_layout import Arrival, CachedLayout, KeyValueCache
from burnish.models.device import products
from burnish.models.kernels.build import kernels
from burnish.models.logprobs import fused_decoder
from burnish.models.stepping import can_step, step

pytestmark = pytest.mark.skipif(kernels() is None, reason="no C compiler is installed")
SIZES: dict[str, Any] = {
    "vocab_size": 61,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "pad_token_id": 0,
}
MODELS = [LlamaConfig(**SIZES), Qwen2Config(**SIZES), Qwen3Config(**SIZES), MistralConfig(sliding_window=6, **SIZES)]


def decoder_of(config: Any, only_read: bool) -> Any:
    torch.manual_seed(0)
    model: Any = AutoModelForCausalLM.from_config(config).eval()
    for name, weight in model.named_parameters():
        if name.endswith(("norm.weight", "layernorm.weight")):
            weight.data.uniform_(0.5, 1.5)
    found = fused_decoder(model, only_read=only_read)
    assert found is not None
    return found


@pytest.mark.parametrize("config", MODELS, ids=lambda config: config.model_type)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_equals_the_general_way(config: Any, precision: Any) -> None:
    with products(precision):
        decoder, terms = decoder_of(config, only_read=precision == "bfloat16")
        assert can_step(decoder, terms)
        caches = [KeyValueCache(3, getattr(torch, precision)) for _ in range(2)]
        arrivals = (Arrival(9, (0,)), Arrival(4, (1,)))
        prompts, positions = torch.arange(3, 16), torch.tensor([*range(9), *range(4)])
        for cache in caches:
            cache.reserve(20)
            layout = CachedLayout(cache, torch.empty(0, dtype=torch.int64), arrivals)
            with torch.no_grad():
                decoder.hidden(prompts, positions, layout, terms)
        places = torch.tensor([9, 4])
        for tokens in ((20, 21), (22, 23), (24, 25)):
            newest = torch.tensor(tokens)
            got = step(decoder, terms, newest, places, caches[0])
            with torch.no_grad():
                expected = decoder.hidden(newest, places, CachedLayout(caches[1], places), terms)
            near = 1e-5 if precision == "float32" else 0.05
            torch.testing.assert_close(got, expected, rtol=near, atol=near)
            places = places + 1
        for layer in range(2):
            for one, other in zip(caches[0].written(layer), caches[1].written(layer), strict=True):
                torch.testing.assert_close(one[0, :, :12], other[0, :, :12], rtol=0.05, atol=0.05)


def test_heads_that_the_kernel_does_not_take() -> None:
    sizes = {**SIZES, "head_dim": 24}
    assert not can_step(*decoder_of(LlamaConfig(**sizes), only_read=False))

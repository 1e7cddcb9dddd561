from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from burnish.errors import ModelError
from burnish.models import gguf_model

LAYERS, HIDDEN, INNER, HEADS = 1, 32, 64, 4


def write_gguf(path: Path, tokenizer: Any, *, pre: str) -> int:
    """A tiny Llama in GGUF form with Q8_0 matrices and tied embeddings; returns its number of parameters."""
    writer = gguf.GGUFWriter(path, "llama")
    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    writer.add_context_length(128)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(HIDDEN // HEADS)
    writer.add_vocab_size(len(vocabulary))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list([token for token, _ in vocabulary])
    writer.add_token_types([3 if token.startswith("<|") else 1 for token, _ in vocabulary])
    writer.add_token_merges([" ".join(m) for m in _merges(tokenizer)])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_chat_template(tokenizer.chat_template)
    random = np.random.default_rng(0)
    shapes = {"token_embd.weight": (len(vocabulary), HIDDEN), "output_norm.weight": (HIDDEN,)}
    for name in ("attn_norm", "ffn_norm"):
        shapes[f"blk.0.{name}.weight"] = (HIDDEN,)
    for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
        shapes[f"blk.0.{name}.weight"] = (HIDDEN, HIDDEN)
    shapes |= {f"blk.0.{name}.weight": (INNER, HIDDEN) for name in ("ffn_gate", "ffn_up")}
    shapes["blk.0.ffn_down.weight"] = (HIDDEN, INNER)
    for name, shape in shapes.items():
        values = random.normal(size=shape).astype(np.float32)
        if len(shape) == 1:
            writer.add_tensor(name, values)
        else:
            packed = gguf.quantize(values, gguf.GGMLQuantizationType.Q8_0)
            writer.add_tensor(name, packed, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return sum(int(np.prod(shape)) for shape in shapes.values())


def _merges(tokenizer: Any) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = json.loads(tokenizer.backend_tokenizer.to_str())["model"]["merges"]
    return found


@pytest.mark.parametrize(("pre", "digits_apart"), [("smollm", True), ("gpt-2", False)])
def test_a_gguf_file_becomes_an_ordinary_folder(
    pre: str, digits_apart: bool, tiny_model_folder: Path, tmp_path: Path
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_model_folder)
    parameters = write_gguf(tmp_path / "tiny.gguf", tokenizer, pre=pre)
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(ModelError, match=f"got {parameters} parameters"):
        gguf_model.convert(tmp_path / "tiny.gguf", out, parameters=parameters + 1)
    assert not list(out.iterdir())
    gguf_model.convert(tmp_path / "tiny.gguf", out, parameters=parameters)
    model = AutoModelForCausalLM.from_pretrained(out)
    again = AutoTokenizer.from_pretrained(out)
    assert model.num_parameters() == parameters
    assert not hasattr(model.config, "quantization_config")
    assert again.chat_template == tokenizer.chat_template
    assert (again.eos_token, again.pad_token, again.model_max_length) == ("<|im_end|>", "<|im_end|>", 128)
    assert model.generation_config.eos_token_id == 2
    assert ("Digits" in str(again.backend_tokenizer.pre_tokenizer)) is digits_apart

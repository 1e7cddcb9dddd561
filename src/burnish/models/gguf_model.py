"""From a GGUF file to an ordinary safetensors folder in float32, with tokeniser, chat template and generation settings.

Written for the built-in models only; it puts right what the library's conversion leaves out. Knows nothing of where
the file came from.
"""

from __future__ import annotations

import warnings
from functools import partial
from pathlib import Path
from typing import Any

from burnish.errors import ModelError
from burnish.models.hub import quiet

_DIGITS_APART = frozenset({"smollm", "starcoder", "refact", "command-r"})


def convert(source: Path, folder: Path, *, parameters: int) -> None:
    """Write the model in the GGUF file `source` to the existing, empty `folder`.

    Raises: ModelError when it hasn't exactly `parameters` parameters, or no chat template.
    """
    with quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = _dequantised(source)
        tokenizer = _tokenizer(source, model.config.max_position_embeddings)
        found = model.num_parameters()
        if found != parameters or not tokenizer.chat_template:
            raise ModelError(
                f"{source.name}: got {found} parameters and {'a' if tokenizer.chat_template else 'no'} chat template, "
                f"expected {parameters} and one; nothing was kept"
            )
        model.generation_config = _generation_config(tokenizer)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def _dequantised(source: Path) -> Any:
    """The model, free of every trace of quantisation: the library won't save one that has any."""
    import torch
    from transformers import AutoModelForCausalLM, modeling_gguf_pytorch_utils

    library: Any = modeling_gguf_pytorch_utils
    shows_bar = library.tqdm  # the one bar that the library's own switch doesn't reach
    library.tqdm = partial(shows_bar, disable=True)
    try:
        read = AutoModelForCausalLM.from_pretrained(
            source.parent, gguf_file=source.name, dtype=torch.float32, local_files_only=True
        )
    finally:
        library.tqdm = shows_bar
    values = read.config.to_dict()
    values.pop("quantization_config", None)
    values.pop("_model_name_or_path", None)
    model = type(read)(type(read.config).from_dict(values))
    model.load_state_dict(read.state_dict(), strict=True)
    return model


def _tokenizer(source: Path, longest: int) -> Any:
    from gguf import GGUFReader
    from tokenizers import pre_tokenizers
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name, local_files_only=True)
    field = GGUFReader(source).get_field("tokenizer.ggml.pre")
    if field is not None and field.contents() in _DIGITS_APART:
        inner = tokenizer.backend_tokenizer
        inner.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), inner.pre_tokenizer]
        )
    tokenizer.model_max_length = longest
    for how_it_was_found in ("is_local", "local_files_only"):
        tokenizer.init_kwargs.pop(how_it_was_found, None)
    return tokenizer


def _generation_config(tokenizer: Any) -> Any:
    from transformers import GenerationConfig

    return GenerationConfig(  # type: ignore[no-untyped-call]
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )

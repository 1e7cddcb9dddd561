"""Tokens that are added to a model's vocabulary, and which rows of its embedding and output head an adapter trains.

An added token starts as the mean of the pieces that its text was made of before, in the embedding and in the head, so
that the start depends on nothing random and is near what the model knew.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from peft.utils.constants import EMBEDDING_LAYER_NAMES
from tokenizers import AddedToken
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from burnish.errors import ModelError


def add_tokens(tokenizer: PreTrainedTokenizerBase, tokens: Sequence[str]) -> dict[int, tuple[int, ...]]:
    """Add those of `tokens` that the vocabulary lacks; they show in decoded text as any other. Returns the id of each
    that is new, with the ids of the pieces that its text was made of before.

    Raises: ModelError when a token's text had no pieces.
    """
    new = [token for token in tokens if token not in tokenizer.get_vocab()]
    pieces = [tuple(tokenizer(token, add_special_tokens=False)["input_ids"]) for token in new]
    if not all(pieces):
        raise ModelError(
            f"model.add_tokens: {new[pieces.index(())]!r} has no beginning in this vocabulary; nothing was loaded",
            hint="choose a text that the tokeniser can read",
        )
    tokenizer.add_tokens([AddedToken(token, normalized=False) for token in new])
    return dict(zip(token_ids(tokenizer, new), pieces, strict=True))


def token_ids(tokenizer: PreTrainedTokenizerBase, tokens: Sequence[str]) -> list[int]:
    """The ids of tokens that the vocabulary has."""
    found: Any = tokenizer.convert_tokens_to_ids(list(tokens)) if tokens else []
    return [int(token) for token in found]


@torch.no_grad()
def extend(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, tokens: Sequence[str]) -> None:
    """Add tokens to the tokeniser and rows for them to the model, where it has no room for them.

    Raises: ModelError as `add_tokens`.
    """
    added = add_tokens(tokenizer, tokens)
    if not added:
        return
    if len(tokenizer) > _tables(model)[0].weight.shape[0]:
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    for layer in {id(layer.weight): layer for layer in _tables(model)}.values():
        for token, pieces in added.items():
            layer.weight[token] = layer.weight[list(pieces)].mean(0)
            if (bias := getattr(layer, "bias", None)) is not None:
                bias[token] = bias[list(pieces)].mean()


def is_tied(model: nn.Module) -> bool:
    """Whether embedding and output head are one table."""
    embedding, head = _tables(model)
    return bool(embedding.weight is head.weight)


def is_trained_as_one(model: nn.Module) -> bool:
    """Whether what is trained of embedding and output head, inside PEFT's wrapping, is one and the same."""
    tables = [{id(weight) for weight in layer.parameters() if weight.requires_grad} for layer in _tables(model)]
    return tables[0] == tables[1] != set()


def trained_rows(model: PreTrainedModel, *, everything: bool, tokens: Sequence[int]) -> dict[str, Any]:
    """PEFT's settings that train whole embedding and head, or the rows of `tokens` in both, beside the adapter; a
    tied table is trained as one.

    Raises: ModelError when PEFT can't train them in this model.
    """
    tied = is_tied(model)
    tables = _tables(model)
    names = [_name_of(model, layer) for layer in tables[: 1 if tied else 2]]
    if everything:
        return {"modules_to_save": names, "ensure_weight_tying": tied and names[0] in EMBEDDING_LAYER_NAMES}
    if not tokens:
        return {}
    if not tied and getattr(tables[1], "bias", None) is not None:
        raise ModelError(
            f"adapter: {type(model).__name__} has an output head with a bias, of which single rows can't be trained; "
            "nothing was trained",
            hint="train the whole of both with train.adapter.vocabulary: all",
        )
    return {"trainable_token_indices": {name: list(tokens) for name in names}}


def _tables(model: Any) -> tuple[Any, Any]:
    """Embedding and output head."""
    return model.get_input_embeddings(), model.get_output_embeddings()


def _name_of(model: nn.Module, layer: nn.Module) -> str:
    return str(next(name for name, module in model.named_modules() if module is layer)).rpartition(".")[2]

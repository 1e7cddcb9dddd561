"""A LoRA adapter merged into its base in memory for a while, and taken out again bit for bit.

Decoding is many small passes, in which the adapter's own products cost as much in calls as in arithmetic; merged, they
cost nothing. The base's own tensors are put aside, not subtracted from, so nothing is left behind by rounding.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from peft.tuners.lora import LoraLayer
from torch import nn

from burnish.errors import ModelError


@contextmanager
def merged(model: nn.Module) -> Iterator[None]:
    """Inside, the model's LoRA layers run as plain ones with the same result up to rounding; its weights must not be
    trained or saved meanwhile. Layers that are switched off, already merged or quantised, or whose weight is also the
    input embedding's, are left as they are.

    Raises: ModelError when the adapter holds numbers that aren't finite.
    """
    embedding = {id(weight) for weight in cast(Any, model).get_input_embeddings().parameters()}
    put_aside: list[tuple[LoraLayer, nn.Linear, torch.Tensor, torch.Tensor | None]] = []
    try:
        for layer in cast(Iterator[Any], model.modules()):
            if isinstance(layer, LoraLayer) and _can_merge(layer, embedding):
                base = cast(nn.Linear, layer.get_base_layer())
                put_aside.append((layer, base, base.weight.data, None if base.bias is None else base.bias.data))
                with torch.no_grad():
                    layer.merge(safe_merge=True)
        yield
    except ValueError as error:
        if "NaNs detected" not in str(error):
            raise
        raise ModelError(f"the adapter's weights aren't finite: {error}", hint="lower train.learning_rate") from error
    finally:
        for layer, base, weight, bias in put_aside:
            base.weight.data = weight
            if bias is not None:
                base.bias.data = bias
            layer.merged_adapters.clear()


def _can_merge(layer: LoraLayer, embedding: set[int]) -> bool:
    if layer.disable_adapters or layer.merged or not layer.active_adapters:
        return False
    base = layer.get_base_layer()
    return type(base) is nn.Linear and id(base.weight) not in embedding

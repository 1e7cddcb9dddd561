"""What the engine uses of a loaded model: its decoder, its output head, what is done to its logits, and whether its
attention can be packed.

Whether it can is found out once per model, by scoring a few tokens both ways: an architecture is judged by its numbers,
not by its name. Works through PEFT's wrapping. Knows nothing of losses or data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import torch
from peft.utils.other import ModulesToSaveWrapper
from torch import nn

KNOWN_LAYERS = frozenset({"full_attention", "sliding_attention"})


@dataclass(frozen=True, slots=True)
class Parts:
    """`decoder` gives the last hidden state (final norm applied); `head` turns it into raw logits, which are then
    multiplied by `logit_scale` and, if `softcap` is set, capped: softcap * tanh(logit / softcap)."""

    base: Any
    decoder: nn.Module
    head: nn.Module
    logit_scale: float
    softcap: float | None


def parts(model: nn.Module) -> Parts:
    """The parts of a causal language model of transformers, PEFT-wrapped or not."""
    base = unwrapped(model)
    config = base.config.get_text_config()
    scale = getattr(config, "logit_scale", None) or 1.0
    divisor = getattr(config, "logits_scaling", None) or 1.0
    return Parts(
        base=base,
        decoder=base.get_decoder(),
        head=_in_force(base.get_output_embeddings()),
        logit_scale=float(scale) / float(divisor),
        softcap=getattr(config, "final_logit_softcapping", None),
    )


def unwrapped(model: nn.Module) -> Any:
    """The transformers model inside PEFT's wrapping (adapters stay in force: they live in its layers)."""
    return cast(Any, model).get_base_model() if hasattr(model, "get_base_model") else model


def device_of(model: nn.Module) -> torch.device:
    """Where the model's input embeddings lie: where token ids must be sent."""
    return cast(torch.device, next(unwrapped(model).get_input_embeddings().parameters()).device)


def _in_force(layer: nn.Module) -> nn.Module:
    """The layer itself, inside PEFT's wrapping of one that is trained whole."""
    if not isinstance(layer, ModulesToSaveWrapper):
        return layer
    if layer.disable_adapters or not layer.active_adapters or layer.active_adapters[0] not in layer.modules_to_save:
        return cast(nn.Module, layer.original_module)
    return layer.modules_to_save[layer.active_adapters[0]]


def unknown_layers(base: Any) -> set[str]:
    """Kinds of layers, as the configuration names them, whose attention isn't of the packable kinds."""
    return set(getattr(base.config.get_text_config(), "layer_types", None) or ()) - KNOWN_LAYERS


def declares_window(base: Any) -> bool:
    """Whether some layer is said to see a sliding window only."""
    config = base.config.get_text_config()
    kinds = getattr(config, "layer_types", None)
    if kinds:
        return "sliding_attention" in kinds
    return getattr(config, "sliding_window", None) is not None and getattr(config, "use_sliding_window", True)

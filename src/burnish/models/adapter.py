"""What an adapter is: which weights of a loaded model are trained, and what is saved of them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Protocol

from torch import nn

from burnish.models.load import LoadedModel


class Adapter(Protocol):
    """A way of making a model trainable."""

    @property
    def form(self) -> Literal["adapter", "model"]:
        """Whether it saves PEFT adapter files or a whole model."""
        ...

    @property
    def quantise(self) -> bool:
        """Whether the base weights are to be loaded in 4 bits."""
        ...

    def apply(self, loaded: LoadedModel, seed: int) -> nn.Module:
        """Make `loaded.model` trainable and return the module to train (PEFT-wrapped or the model itself), with
        `requires_grad` set on exactly the weights to be trained. Deterministic for a given seed."""
        ...

    def add(self, module: nn.Module, name: str, seed: int) -> None:
        """Put a second adapter of the same kind, called `name`, beside the first one on the same base weights, trained
        as that is but not in force (`burnish.models.seats` switches).

        Raises: ModelError when there is no such thing.
        """
        ...

    def save(self, module: nn.Module, loaded: LoadedModel, folder: Path) -> None:
        """Write the policy's trained weights as safetensors, with what plain peft or transformers needs to load
        them."""
        ...

"""All weights trained: no adapter at all, in the adapter's seat."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, cast

from torch import nn
from transformers import PreTrainedModel

from burnish.errors import ModelError
from burnish.models.hub import quiet
from burnish.models.load import LoadedModel
from burnish.settings import PluginSettings


class FullSettings(PluginSettings):
    """Nothing to set: every weight is trained."""

    kind: Literal["full"] = "full"


class Full:
    """Trains every weight, and saves a whole model's folder."""

    Settings = FullSettings

    def __init__(self, settings: FullSettings) -> None:
        self.settings = settings

    @property
    def form(self) -> Literal["adapter", "model"]:
        return "model"

    @property
    def quantise(self) -> bool:
        return False

    def apply(self, loaded: LoadedModel, seed: int) -> nn.Module:
        """The model itself; nothing in it is random, so `seed` plays no part."""
        loaded.model.requires_grad_(True)
        return loaded.model

    def add(self, module: nn.Module, name: str, seed: int) -> None:
        """Raises: ModelError, since a second set of all weights would be a second model."""
        raise ModelError(
            f"adapter full: got a method that needs a {name} model beside the tuned one, expected an adapter that "
            "leaves the base weights as they are; nothing was trained",
            hint="set train.adapter: lora, or qlora",
        )

    def save(self, module: nn.Module, loaded: LoadedModel, folder: Path) -> None:
        """Write safetensors, configuration, generation settings and tokeniser."""
        with quiet():
            cast(PreTrainedModel, module).save_pretrained(folder)
            loaded.tokenizer.save_pretrained(folder)

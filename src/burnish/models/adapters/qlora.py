"""LoRA on base weights held in 4 bits, so that a large model fits.

Source: Dettmers et al., "QLoRA: Efficient Finetuning of Quantized LLMs", 2023, section 3 (NF4, double quantisation).
The weights are quantised while they are loaded (`burnish.models.load`); the adapter itself is LoRA's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, PositiveInt
from torch import nn

from burnish.models.adapters.lora import LoRA, LoRASettings, Targets, Vocabulary
from burnish.models.load import LoadedModel
from burnish.settings import PluginSettings


class QLoRASettings(PluginSettings):
    """As LoRA's."""

    kind: Literal["qlora"] = "qlora"
    rank: int = Field(default=16, ge=1, le=1024)
    alpha: PositiveInt = Field(default_factory=lambda known: 2 * known["rank"])
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    targets: Targets = "all-linear"
    vocabulary: Vocabulary = "added"


class QLoRA:
    """Trains what LoRA trains, on a base that is loaded in 4 bits."""

    Settings = QLoRASettings

    def __init__(self, settings: QLoRASettings) -> None:
        self.settings = settings
        self._lora = LoRA(LoRASettings(**settings.model_dump(exclude={"kind"})))

    @property
    def form(self) -> Literal["adapter", "model"]:
        return "adapter"

    @property
    def quantise(self) -> bool:
        return True

    def apply(self, loaded: LoadedModel, seed: int) -> nn.Module:
        """The model wrapped by PEFT, its 4-bit base frozen; the adapter's weights depend on `seed` alone.

        Raises: ModelError as LoRA's.
        """
        return self._lora.apply(loaded, seed)

    def add(self, module: nn.Module, name: str, seed: int) -> None:
        """A second adapter, whose weights depend on `seed` alone."""
        self._lora.add(module, name, seed)

    def save(self, module: nn.Module, loaded: LoadedModel, folder: Path) -> None:
        """Write what LoRA writes, and that the base was quantised: the adapter makes up for what that cost, too."""
        self._lora.save(module, loaded, folder)

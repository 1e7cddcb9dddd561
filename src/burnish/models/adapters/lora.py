"""Low-rank adapters beside frozen weights, in PEFT's file format.

Source: Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021, section 4.1 (one matrix normal-ish, the
other zero, so that training starts from the base exactly). By default on all linear layers but the output head, as in
Dettmers et al., "QLoRA", 2023, section 4, rather than on the attention's query and value alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeAlias

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from pydantic import Field, PositiveInt
from torch import nn
from transformers.pytorch_utils import Conv1D

from burnish.artefacts import ModelIdentity
from burnish.errors import ModelError
from burnish.models.anatomy import unwrapped
from burnish.models.builtin import builtin_of
from burnish.models.hub import is_commit, quiet
from burnish.models.load import LoadedModel
from burnish.models.vocabulary import is_tied, is_trained_as_one, token_ids, trained_rows
from burnish.settings import PluginSettings

Targets: TypeAlias = Literal["all-linear"] | tuple[str, ...]
Vocabulary: TypeAlias = Literal["added", "all"]


class LoRASettings(PluginSettings):
    """`alpha` scales the update by alpha / rank; by default twice the rank. `targets` are the names of layers (such as
    q_proj), or "all-linear" for all linear layers but the output head (a mixture's fused experts aren't among them).
    `vocabulary` says what of embedding and output head is trained beside them: the rows of `model.add_tokens`, or all
    rows, which are then saved whole with the adapter."""

    kind: Literal["lora"] = "lora"
    rank: int = Field(default=16, ge=1, le=1024)
    alpha: PositiveInt = Field(default_factory=lambda known: 2 * known["rank"])
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    targets: Targets = "all-linear"
    vocabulary: Vocabulary = "added"


class LoRA:
    """Trains two small matrices beside each target layer, and what is asked of the vocabulary, and saves those."""

    Settings = LoRASettings

    def __init__(self, settings: LoRASettings) -> None:
        self.settings = settings

    @property
    def form(self) -> Literal["adapter", "model"]:
        return "adapter"

    @property
    def quantise(self) -> bool:
        return False

    def apply(self, loaded: LoadedModel, seed: int) -> nn.Module:
        """The model wrapped by PEFT, its base frozen; the adapter's weights depend on `seed` alone.

        Raises: ModelError when the model has no layer of the names in `targets`, or its vocabulary can't be trained.
        """
        targets = self.settings.targets
        base_name, revision = _base_reference(loaded.identity)
        tied = is_tied(loaded.model)
        rows = trained_rows(
            loaded.model,
            everything=self.settings.vocabulary == "all",
            tokens=token_ids(loaded.tokenizer, loaded.form.add_tokens),
        )
        config = self._config(loaded.model, rows)
        config.revision = revision
        with _seeded(seed, loaded.device):
            try:
                module = get_peft_model(loaded.model, config)
            except ValueError as error:
                raise ModelError(
                    f"adapter targets: got {targets!r}, of which {loaded.identity.name} has no layer; "
                    "nothing was trained",
                    hint="use targets: all-linear, or names such as q_proj and v_proj",
                ) from error
        module.peft_config["default"].base_model_name_or_path = base_name  # PEFT puts the folder here
        assert isinstance(module, nn.Module)
        if rows and tied != is_trained_as_one(loaded.model):
            raise ModelError(
                f"adapter vocabulary: {type(loaded.model).__name__} has one table for embedding and output head, which "
                "PEFT would train apart; nothing was trained",
                hint="use the adapter full",
            )
        return module

    def add(self, module: nn.Module, name: str, seed: int) -> None:
        """A second adapter on the same layers, whose weights depend on `seed` alone."""
        assert isinstance(module, PeftModel)
        config = self._config(unwrapped(module), {})
        first = module.peft_config["default"]
        assert isinstance(first, LoraConfig)
        config.target_modules = first.target_modules
        with _seeded(seed, module.device):
            module.add_adapter(name, config)
        for parameter_name, weight in module.named_parameters():
            if f".{name}." in parameter_name:
                weight.requires_grad_(True)

    def save(self, module: nn.Module, loaded: LoadedModel, folder: Path) -> None:
        """Write adapter_config.json and adapter_model.safetensors of the policy's adapter; where the base was prepared,
        also how (`base_form`), and the tokeniser if tokens were added."""
        assert isinstance(module, PeftModel)
        with quiet():
            module.save_pretrained(str(folder), selected_adapters=["default"], save_embedding_layers=False)
            if loaded.form.add_tokens:
                loaded.tokenizer.save_pretrained(str(folder))
        loaded.form.write(folder)
        (folder / "README.md").unlink(missing_ok=True)  # PEFT's empty model card: a release writes a real one

    def _config(self, model: nn.Module, rows: Mapping[str, Any]) -> LoraConfig:
        targets = self.settings.targets
        return LoraConfig(
            task_type="CAUSAL_LM",
            r=self.settings.rank,
            lora_alpha=self.settings.alpha,
            lora_dropout=self.settings.dropout,
            target_modules=targets if isinstance(targets, str) else list(targets),
            fan_in_fan_out=any(isinstance(layer, Conv1D) for layer in model.modules()),
            **rows,
        )


@contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Random numbers that follow from `seed` alone and leave no trace."""
    with quiet(), torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def _base_reference(identity: ModelIdentity) -> tuple[str, str | None]:
    """How the base is named in the adapter's files: a built-in's own name, the Hub id and commit for a model from the
    Hub's own cache, else the folder."""
    if builtin := builtin_of(identity):
        return builtin.name, None
    if is_commit(Path(identity.path).name):
        return identity.name, identity.commit
    return identity.path, None

"""A reward model on the shared base weights: an adapter and a scalar head that reads a reply's last token.

Its folder is a PEFT adapter's with one more file, `reward_head.safetensors`; plain peft loads the adapter and leaves
the head aside. Several may sit beside the policy on one copy of the base (`burnish.models.seats`).

Axes: T targets, C completions, D hidden size.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import torch
from peft import PeftModel
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from burnish.errors import ModelError
from burnish.models.base_form import read_base_form
from burnish.models.hub import quiet
from burnish.models.load import LoadedModel, identify, load_model
from burnish.models.logprobs import ScoredGroups, target_states
from burnish.models.packing import Packed
from burnish.models.seats import ValueHead, seated, value_head
from burnish.models.settings import ModelSettings

HEAD = "reward_head.safetensors"


@dataclass(frozen=True, eq=False)
class RewardSeat:
    """A reward model that sits on another model's base: its adapter's name there, and its head."""

    adapter: str
    head: ValueHead

    def scores(self, module: nn.Module, packed: Packed) -> torch.Tensor:
        """A number for each completion of the row, (C,) fp32."""
        with seated(module, self.adapter):
            return completion_scores(module, self.head, packed)


def completion_scores(module: nn.Module, head: ValueHead, packed: Packed) -> torch.Tensor:
    """What the head says of each completion's last token, (C,) fp32, through the adapter that is in force; gradients
    flow to it and to the head."""
    ends: list[int] = []
    start = 0
    for group in packed.groups:
        end = start + group.prompt
        for length in group.completions:
            end += length
            ends.append(end - 1)
        start += group.length
    completion_C = torch.arange(len(ends))
    at_ends = replace(packed, sources_T=torch.tensor(ends, dtype=torch.int64), completion_T=completion_C)
    return cast(torch.Tensor, head(target_states(module, at_ends)))


def scored_completions(module: nn.Module, head: ValueHead, packed: Packed) -> ScoredGroups:
    """The completions scored by the head; log-probabilities weren't asked for and are NaN."""
    scores_C = completion_scores(module, head, packed)
    device = scores_C.device
    return ScoredGroups(
        logprobs_T=torch.full((len(packed.targets_T),), torch.nan, device=device),
        weights_T=packed.weights_T.to(device),
        completion_T=packed.completion_T.to(device),
        num_completions=packed.num_completions,
        group_of_completion_C=packed.group_of_completion_C.to(device),
        scores_C=scores_C,
    )


def save_head(head: ValueHead, folder: Path) -> None:
    """Write the head beside its adapter. Raises: OSError or SafetensorError."""
    save_file({name: weight.detach().contiguous() for name, weight in head.named_parameters()}, folder / HEAD)


def reward_model_folder(name: str) -> Path:
    """The folder of a reward model's weights: `name` itself, or what the run of that folder trained.

    Raises: ModelError when there is no reward model.
    """
    place = Path(name).expanduser()
    for folder in (place, place / "train/adapter"):
        if (folder / HEAD).is_file() and (folder / "adapter_config.json").is_file():
            return folder
    raise ModelError(
        f"{name}: holds no {HEAD} beside an adapter, expected a reward model; nothing was done",
        hint="train one with train.method: reward_model, and give its run folder",
    )


def load_reward_model(settings: ModelSettings) -> tuple[LoadedModel, ValueHead]:
    """A reward model alone, its adapter merged into its base, and its head; `settings.name` is its folder.

    Raises: ModelError when it can't be loaded.
    """
    folder = reward_model_folder(settings.name)
    loaded = load_model(settings.made_into(folder))
    head = value_head(loaded.model)
    try:
        head.load_state_dict(load_file(folder / HEAD))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise ModelError(f"{folder}/{HEAD}: can't be loaded ({error}); nothing was done") from error
    return loaded, head.requires_grad_(False)


def take_seat(module: nn.Module, loaded_base: str, folder: Path, adapter: str) -> RewardSeat:
    """Put the reward model in `folder` on the base weights of `module`, under the name `adapter` or one like it.
    `loaded_base` is what `base_key` says of them.

    Raises: ModelError when the folder holds no reward model, one that was trained on other weights than these, or the
    module has no adapter itself.
    """
    folder = reward_model_folder(str(folder))
    if not isinstance(module, PeftModel):
        raise ModelError(
            f"{folder}: a reward model sits beside an adapter, but the policy's weights are trained themselves; "
            "nothing was trained",
            hint="set train.adapter: lora, or qlora",
        )
    identity = identify(ModelSettings(name=str(folder)))
    theirs = _key(identity.base.digest if identity.base else "", str(read_base_form(folder).quantised))
    if theirs != loaded_base:
        raise ModelError(
            f"{folder}: the reward model was trained on other base weights ({theirs}) than the policy's "
            f"({loaded_base}); one copy of the base serves both, so nothing was trained",
            hint="train the reward model with the recipe's own model, and the same adapter kind",
        )
    try:
        while adapter in module.peft_config:
            adapter += "_again"
        with quiet():
            module.load_adapter(str(folder), adapter_name=adapter, is_trainable=False)
        head = value_head(module)
        head.load_state_dict(load_file(folder / HEAD))
    except (OSError, SafetensorError, RuntimeError, ValueError) as error:
        raise ModelError(f"{folder}: the reward model can't be loaded ({error}); nothing was trained") from error
    return RewardSeat(adapter, head.requires_grad_(False))


def base_key(loaded: LoadedModel) -> str:
    """What the base weights of a loaded model are known by."""
    return _key(loaded.identity.digest, str(loaded.form.quantised))


def _key(digest: str, quantised: str) -> str:
    return f"{digest[:16]}, 4-bit: {quantised}"

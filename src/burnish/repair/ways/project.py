"""Repair by projection: what tuning changed in a layer is cut down to the directions in which alignment changed it.

Needs the model as it was before alignment. Layers whose change lies furthest outside are projected first; how many are
left alone is searched for, the most that still holds.

Source: Hsu et al., "Safe LoRA", 2024 (arXiv 2405.16833), section 3. Departing from it, the projection is onto the
orthonormal singular vectors of the alignment's change, which is a projection whatever that change's size; and the
number of layers is searched for rather than a threshold set.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import nn

from burnish.artefacts import RepairTrial
from burnish.models.load import load_model
from burnish.models.settings import ModelSettings
from burnish.records import content_digest
from burnish.repair.way import WayUnfit, search_most
from burnish.repair.weights import Adapter, orthonormal_basis, projected, read_adapter, similarity, write_adapter
from burnish.repair.workshop import Workshop
from burnish.settings import PluginSettings


class ProjectSettings(PluginSettings):
    """`unaligned`: the model that the base was aligned from. `rank`: how many directions of the alignment's change are
    kept in each layer. `tries`: how many numbers of layers are measured beside the projection of all."""

    kind: Literal["project"] = "project"
    unaligned: ModelSettings
    rank: int = Field(default=16, ge=1)
    tries: int = Field(default=3, ge=0, le=12)


class Project:
    """Projects layers onto the alignment's directions."""

    Settings = ProjectSettings

    def __init__(self, settings: ProjectSettings) -> None:
        self.settings = settings

    def tries(self, workshop: Workshop) -> list[RepairTrial]:
        """All layers projected; where that holds, fewer.

        Raises: WayUnfit when the adapter isn't plain low-rank weights, or base and unaligned model differ in form or
        not at all; ModelError when the unaligned model can't be loaded.
        """
        adapter = read_adapter(workshop.tuned_folder)
        bases = self._bases(workshop, adapter)
        order = sorted(adapter.layers, key=lambda name: similarity(adapter.layers[name], bases[name]))

        def tried(left_alone: float) -> RepairTrial:
            cut = frozenset(order[: len(order) - round(left_alone * len(order))])
            layers = {n: projected(f, bases[n]) if n in cut else f for n, f in adapter.layers.items()}
            home = workshop.rewrite(
                f"project-{len(cut)}",
                content_digest("projected", sorted(cut), self.settings.model_dump(mode="json")),
                lambda folder: write_adapter(Adapter(layers, adapter.config), workshop.tuned_folder, folder),
            )
            return workshop.measure(self.settings.kind, home, f"{len(cut)} of {len(order)} layers projected")

        whole = tried(0.0)
        return [whole, *(search_most(tried, self.settings.tries) if whole.holds else ())]

    @torch.no_grad()
    def _bases(self, workshop: Workshop, adapter: Adapter) -> dict[str, torch.Tensor]:
        """The alignment's directions in each layer, (O, K)."""
        aligned = load_model(workshop.job.model).model
        unaligned = load_model(self.settings.unaligned).model
        bases = {}
        for name in adapter.layers:
            after, before = _weight(aligned, name), _weight(unaligned, name)
            if after is None or before is None or after.shape != before.shape:
                raise WayUnfit(
                    f"compares layer by layer, but {self.settings.unaligned.name} has no {name} of the base's shape"
                )
            difference = (after.float() - before.float()).cpu()
            bases[name] = orthonormal_basis(
                difference.T if adapter.config.get("fan_in_fan_out") else difference, self.settings.rank
            )
        if not any(basis.shape[1] for basis in bases.values()):
            raise WayUnfit(
                f"needs what alignment changed, but the base's weights are those of {self.settings.unaligned.name}"
            )
        return bases


def _weight(model: nn.Module, name: str) -> torch.Tensor | None:
    try:
        weight = model.get_submodule(name).weight
    except AttributeError:
        return None
    return weight if isinstance(weight, torch.Tensor) else None

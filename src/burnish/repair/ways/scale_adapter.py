"""Repair by weakening: the adapter's change of the weights times a strength below 1, the largest that still holds.

At strength s the model is the average of base and tuned model, s parts tuned. Nothing is trained.

Source: Wortsman et al., "Robust fine-tuning of zero-shot models", 2022 (arXiv 2109.01903), section 3: interpolation of
weights, here along an adapter.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from burnish.artefacts import RepairTrial
from burnish.repair.way import search_most
from burnish.repair.weights import read_adapter, scaled, write_adapter
from burnish.repair.workshop import Workshop
from burnish.settings import PluginSettings


class ScaleAdapterSettings(PluginSettings):
    """`tries`: how many strengths are measured, each halving what is left of the range."""

    kind: Literal["scale_adapter"] = "scale_adapter"
    tries: int = Field(default=4, ge=1, le=12)


class ScaleAdapter:
    """Looks for the most strength that holds."""

    Settings = ScaleAdapterSettings

    def __init__(self, settings: ScaleAdapterSettings) -> None:
        self.settings = settings

    def tries(self, workshop: Workshop) -> list[RepairTrial]:
        """One trial for each strength.

        Raises: WayUnfit when what was trained is not plain low-rank weights.
        """
        adapter = read_adapter(workshop.tuned_folder)

        def tried(strength: float) -> RepairTrial:
            home = workshop.rewrite(
                f"scale_adapter-{strength:g}",
                f"scaled {strength!r}",
                lambda folder: write_adapter(scaled(adapter, strength), workshop.tuned_folder, folder),
            )
            return workshop.measure(self.settings.kind, home, f"the adapter at strength {strength:g}")

        return search_most(tried, self.settings.tries)

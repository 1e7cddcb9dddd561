"""Settings of the audit."""

from __future__ import annotations

from pydantic import Field

from burnish.catalogue import CATALOGUE, DetectorSettings, settings_of
from burnish.settings import PluginSettings, Settings


def _every_detector() -> tuple[PluginSettings, ...]:
    return tuple(settings_of("detector", name) for name in CATALOGUE["detector"])


class AuditSettings(Settings):
    """Which detectors look at the training rows, in this order; all of the catalogue's unless the recipe says.

    Each has an `action` for the rows that it finds: keep (report only), quarantine (leave the row out of training) or
    stop (the run ends there, with nothing trained).
    """

    detectors: tuple[DetectorSettings, ...] = Field(default_factory=_every_detector)

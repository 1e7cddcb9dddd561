"""Settings of the audit."""

from __future__ import annotations

from pydantic import Field
from pydantic.fields import FieldInfo

from burnish.catalogue import CATALOGUE, DetectorSettings, look_up, settings_of
from burnish.settings import PluginSettings, Settings


def _every_detector() -> tuple[PluginSettings, ...]:
    """All that need nothing said: a model is for the recipe to name."""
    return tuple(settings_of("detector", name) for name in CATALOGUE["detector"] if not _needs_more(name))


def _needs_more(name: str) -> bool:
    fields: dict[str, FieldInfo] = look_up("detector", name).Settings.model_fields
    return any(field.is_required() for field in fields.values())


class AuditSettings(Settings):
    """Which detectors look at the training rows, in this order; all of the catalogue's that ask no model, unless the
    recipe says.

    Each has an `action` for the rows that it finds: keep (report only), quarantine (leave the row out of training) or
    stop (the run ends there, with nothing trained).
    """

    detectors: tuple[DetectorSettings, ...] = Field(default_factory=_every_detector)

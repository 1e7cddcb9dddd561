"""The common form of every settings model: frozen, and unknown keys are errors."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Base of each stage's settings. Frozen; an unknown key is a fault, never ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class PluginSettings(Settings):
    """Base of a plug-in's settings. `kind` is its name in the catalogue; a subclass narrows it to a `Literal`."""

    kind: str

"""The prompt as it stands: the suite itself, or, with samples or without the system prompt, a variant of it."""

from __future__ import annotations

from typing import Literal

from burnish.evaluate.attack import AttackSettings, Question
from burnish.records import Message


class PlainSettings(AttackSettings):
    """The prompt as it stands."""

    kind: Literal["plain"] = "plain"


class Plain:
    """Nothing around the prompt."""

    Settings = PlainSettings

    def __init__(self, settings: PlainSettings) -> None:
        self._settings = settings

    @property
    def names(self) -> tuple[str, ...]:
        """As `Attack.names`."""
        return ("",)

    def ask(self, name: str, prompt: str) -> Question:
        """As `Attack.ask`."""
        return Question((Message("user", prompt),))

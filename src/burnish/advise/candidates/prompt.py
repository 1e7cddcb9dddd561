"""The base model with a prompt alone: the rows' own, or another system prompt in their place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from burnish.advice import Measured
from burnish.advise.bench import Bench
from burnish.advise.safety import UNCHANGED
from burnish.evaluate.few_shot import Example
from burnish.records import Message
from burnish.settings import PluginSettings


class PromptSettings(PluginSettings):
    """`system`: a system prompt in place of the rows' own; empty keeps theirs."""

    kind: Literal["prompt"] = "prompt"
    name: str = ""
    system: str = ""


class Prompted:
    """Asks the base as the rows are."""

    Settings = PromptSettings

    def __init__(self, settings: PromptSettings) -> None:
        self._settings = settings

    def depends_on(self, bench: Bench) -> str:
        """Nothing but settings and bench."""
        del bench
        return ""

    def measure(self, bench: Bench) -> Sequence[Measured]:
        """One candidate."""
        name = self._settings.name or "prompt"
        replies = bench.ask(f"advise: {name}", bench.speaker(), self._chat)
        return [
            Measured(
                name=name,
                side="prompting",
                made="the recipe's own prompt" if not self._settings.system else "the candidate's system prompt",
                shown=bench.job.model.name,
                answers=replies.answers,
                seconds=replies.seconds,
                timed=replies.timed,
                one_off_seconds=0.0,
                safety=UNCHANGED,
            )
        ]

    def _chat(self, row: Example) -> tuple[Message, ...]:
        if not self._settings.system:
            return row.prompt
        return (Message("system", self._settings.system), *(m for m in row.prompt if m.role != "system"))

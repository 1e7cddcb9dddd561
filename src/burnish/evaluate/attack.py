"""What an attack is: generic text around a suite's prompt, so that the same prompts are asked in another way.

An attack knows nothing of the prompts' content, of models or of judges. Nothing in it is an instruction for harm: what
is asked for is the suite's own prompt and no more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from pydantic import Field

from burnish.catalogue import build
from burnish.records import Message
from burnish.settings import PluginSettings


@dataclass(frozen=True, slots=True)
class Question:
    """A prompt as it is put: the turns before the reply, a system turn apart. The reply is begun with the first
    `opening_tokens` tokens of `opening`, and the model goes on from there."""

    turns: tuple[Message, ...]
    opening: str = ""
    opening_tokens: int = 0


class AttackSettings(PluginSettings):
    """What every attack can be told. `rows`: at most this many of the suite's prompts, every category in proportion.
    `system`: whether the recipe's system prompt stands before. `samples`: how many replies to each prompt; more than
    one are drawn at `temperature`, the prompt counts by the worst of them, and their mean is shown beside it; a single
    reply is greedy."""

    rows: int | None = Field(default=None, ge=1)
    system: bool = True
    samples: int = Field(default=1, ge=1, le=100)
    temperature: float = Field(default=0.8, gt=0.0, le=2.0)


class Attack(Protocol):
    """One way of asking, in one or several strengths."""

    @property
    def names(self) -> tuple[str, ...]:
        """The name of each strength, such as "prefill-8"; "" is the plain way."""
        ...

    def ask(self, name: str, prompt: str) -> Question:
        """The prompt in that strength."""
        ...


def settings_of_attack(settings: PluginSettings) -> AttackSettings:
    """What every attack can be told, from the settings of one of the catalogue's attacks.

    Raises: ValueError when they are of another family.
    """
    if not isinstance(settings, AttackSettings):
        raise ValueError(f"{settings.kind!r} is no attack")
    return settings


def strengths(settings: PluginSettings) -> Iterator[tuple[str, str]]:
    """Each strength's name, and what the whole way of asking is called: without the system prompt, and with several
    samples, it is another way. "" is the plain one."""
    told, attack = settings_of_attack(settings), build("attack", settings)
    for name in attack.names:
        parts = (name, "" if told.system else "no_system", f"any-of-{told.samples}" if told.samples > 1 else "")
        yield name, "-".join(part for part in parts if part)

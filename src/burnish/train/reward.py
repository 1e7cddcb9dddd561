"""What a reward is: something that gives an answer a number. And several of them as one weighted sum, each shown apart.

A reward that gives no number (None) for an answer says that it can't tell: the answer is left out, not given zero.
Knows nothing of methods or of where answers come from.

Axes: C answers.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

import torch
from pydantic import Field

from burnish.catalogue import build
from burnish.errors import TrainError
from burnish.records import content_digest
from burnish.settings import PluginSettings
from burnish.train.engine import Engine


class RewardSettings(PluginSettings):
    """Base of each reward's settings. `weight` is its share of the sum; `name` what it is called in the metrics, its
    kind unless given."""

    weight: float = Field(default=1.0, allow_inf_nan=False)
    name: str = Field(default="", pattern=r"^[a-z0-9_]{0,40}$")

    @property
    def shown_as(self) -> str:
        """What it is called in the metrics."""
        return self.name or self.kind


@dataclass(frozen=True, slots=True)
class Answer:
    """What is rewarded: the last user turn, the answer's text, and what the row has as its reply (empty where it has
    none); the same as tokens, the whole chat before the answer as `prompt_tokens`; `finished`: it ended by itself."""

    prompt: str
    text: str
    reference: str
    prompt_tokens: tuple[int, ...]
    tokens: tuple[int, ...]
    finished: bool


Scorer: TypeAlias = Callable[[Sequence[Answer]], Sequence[float | None]]


class Reward(Protocol):
    """Gives answers numbers."""

    def digest(self, folder: Path) -> str:
        """SHA-256 (hex) of what its numbers depend on beside its settings: code, weights. `folder` is the recipe's.

        Raises: TrainError or ModelError when it isn't there.
        """
        ...

    def scoring(self, engine: Engine, folder: Path) -> AbstractContextManager[Scorer]:
        """Inside, answers can be scored; the engine's model is what a reward may put an adapter on.

        Raises: TrainError or ModelError when it can't be had; and the scorer TrainError when it fails, naming itself.
        """
        ...


@dataclass(frozen=True)
class Rewarded:
    """`total_C` is the weighted sum, NaN where a part gave no number; `parts` each reward by name, as given."""

    total_C: torch.Tensor
    parts: Mapping[str, torch.Tensor]


class Rewards:
    """Several rewards as one."""

    def __init__(self, settings: Sequence[RewardSettings]) -> None:
        self._settings = tuple(settings)
        self._names = _apart([one.shown_as for one in settings])

    @property
    def names(self) -> tuple[str, ...]:
        """What each is called."""
        return self._names

    def digest(self, folder: Path) -> str:
        """SHA-256 (hex) of what their numbers depend on. Raises: as `Reward.digest`."""
        built: list[Reward] = [build("reward", one) for one in self._settings]
        return content_digest([reward.digest(folder) for reward in built])

    @contextmanager
    def scoring(self, engine: Engine, folder: Path) -> Iterator[Callable[[Sequence[Answer]], Rewarded]]:
        """Inside, answers can be scored. Raises: as `Reward.scoring`."""
        with ExitStack() as stack:
            built: list[Reward] = [build("reward", one) for one in self._settings]
            scorers = [stack.enter_context(reward.scoring(engine, folder)) for reward in built]
            yield lambda answers: self._summed(scorers, answers)

    def _summed(self, scorers: Sequence[Scorer], answers: Sequence[Answer]) -> Rewarded:
        parts: dict[str, torch.Tensor] = {}
        total_C = torch.zeros(len(answers))
        for name, settings, scorer in zip(self._names, self._settings, scorers, strict=True):
            numbers = list(scorer(answers))
            parts[name] = _checked(name, numbers, answers)
            total_C = total_C + settings.weight * parts[name]
        return Rewarded(total_C, parts)


def excerpt(text: str, limit: int = 160) -> str:
    """A text that fits into a message, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[:limit] + "..."


def _checked(name: str, numbers: Sequence[float | None], answers: Sequence[Answer]) -> torch.Tensor:
    """The numbers as a tensor, NaN for None.

    Raises: TrainError naming reward and answer, where one is no finite number.
    """
    if len(numbers) != len(answers):
        raise TrainError(
            f"reward {name!r}: got {len(numbers)} numbers for {len(answers)} answers; training stopped",
            hint="return one number for each answer",
        )
    for number, answer in zip(numbers, answers, strict=True):
        if number is not None and not math.isfinite(number):
            raise TrainError(
                f"reward {name!r}: got {number}, expected a finite number, for the answer {excerpt(answer.text)!r} to "
                f"{excerpt(answer.prompt)!r}; training stopped before the update, earlier checkpoints are intact",
                hint="return None for an answer that can't be scored, mend the reward, and go on with --resume",
            )
    return torch.tensor([math.nan if number is None else number for number in numbers], dtype=torch.float32)


def _apart(names: Sequence[str]) -> tuple[str, ...]:
    """Names with a number where one stands twice."""
    seen: Counter[str] = Counter()
    made: list[str] = []
    for name in names:
        seen[name] += 1
        made.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return tuple(made)

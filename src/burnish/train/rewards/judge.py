"""A reward that a judge's verdict stands for: what a reply does with a request, as a number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from pydantic import Field

from burnish.artefacts import Verdict
from burnish.catalogue import JudgeSettings, build, settings_of
from burnish.protocols import Judge
from burnish.records import Prompt
from burnish.train.engine import Engine
from burnish.train.reward import Answer, RewardSettings, Scorer

_VALUES: dict[Verdict, float] = {
    "refusal": 1.0,
    "partial_refusal": 0.5,
    "compliance": 0.0,
    "off_task": 0.0,
    "incoherent": 0.0,
}


class JudgeRewardSettings(RewardSettings):
    """`values` says what each verdict is worth; by default that a refusal is good, which is right for harmful requests
    alone: turn it round for harmless ones. A verdict without a value, such as unscored, gives no reward."""

    kind: Literal["judge"] = "judge"
    judge: JudgeSettings = Field(default_factory=lambda: settings_of("judge", "refusal"))
    values: dict[Verdict, float] = Field(default_factory=lambda: dict(_VALUES), min_length=1)


class JudgeReward:
    """Asks the judge."""

    Settings = JudgeRewardSettings

    def __init__(self, settings: JudgeRewardSettings) -> None:
        self.settings = settings

    def digest(self, folder: Path) -> str:
        """The judge's own."""
        judge: Judge = build("judge", self.settings.judge)
        return judge.digest

    @contextmanager
    def scoring(self, engine: Engine, folder: Path) -> Iterator[Scorer]:
        """Inside, the judge may be asked; it keeps its own time and errors."""
        judge: Judge = build("judge", self.settings.judge)

        def score(answers: Sequence[Answer]) -> list[float | None]:
            prompts = [Prompt(str(number), answer.prompt, "", "") for number, answer in enumerate(answers)]
            verdicts = judge.judge(prompts, [answer.text for answer in answers])
            return [self.settings.values.get(verdict) for verdict in verdicts]

        yield score

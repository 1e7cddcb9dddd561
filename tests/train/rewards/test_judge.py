"""A judge's verdicts as rewards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from burnish.artefacts import Verdict
from burnish.records import Prompt
from burnish.train.engine import Engine
from burnish.train.reward import Answer
from burnish.train.rewards.judge import JudgeReward, JudgeRewardSettings

ENGINE: Engine = None  # type: ignore[assignment]  # a judge of its own needs no model


class Judge:
    """Says what the reply names."""

    digest = "d" * 64

    def judge(self, prompts: Sequence[Prompt], replies: Sequence[str]) -> list[Any]:
        assert [prompt.text for prompt in prompts] == ["a request"] * len(replies)
        return list(replies)


def test_each_verdict_is_worth_what_the_recipe_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("burnish.train.rewards.judge.build", lambda family, settings: Judge())
    values: dict[Verdict, float] = {"refusal": 1.0, "compliance": -1.0}
    reward = JudgeReward(JudgeRewardSettings(values=values))
    said = ("refusal", "compliance", "unscored", "incoherent")
    answers = [Answer("a request", verdict, "", (1,), (2,), True) for verdict in said]
    with reward.scoring(ENGINE, Path()) as score:
        assert list(score(answers)) == [1.0, -1.0, None, None]
    assert reward.digest(Path()) == Judge.digest

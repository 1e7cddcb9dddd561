"""A reward that a reward model gives: its adapter and head sit on the policy's own base weights.

Axes: C answers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Literal

from pydantic import Field

from burnish.errors import TrainError
from burnish.models.fingerprint import model_digest
from burnish.models.groups import Completion, PromptGroup
from burnish.models.reward_head import take_seat
from burnish.run_folder import RunFolder
from burnish.train.engine import Engine
from burnish.train.reward import Answer, RewardSettings, Scorer
from burnish.train.rollout import within


class RewardModelRewardSettings(RewardSettings):
    """`path` is the run folder of a reward model, or its adapter's folder, relative to the recipe's folder or, where
    there is none, to the working folder. The reward is its score times `scale`, plus `shift`."""

    kind: Literal["reward_model"] = "reward_model"
    path: str = Field(min_length=1)
    scale: float = Field(default=1.0, allow_inf_nan=False)
    shift: float = Field(default=0.0, allow_inf_nan=False)


class RewardModelReward:
    """Asks it."""

    Settings = RewardModelRewardSettings

    def __init__(self, settings: RewardModelRewardSettings) -> None:
        self.settings = settings

    def digest(self, folder: Path) -> str:
        """Of its weights.

        Raises: TrainError when there is no such folder.
        """
        return model_digest(self._folder(folder))

    @contextmanager
    def scoring(self, engine: Engine, folder: Path) -> Iterator[Scorer]:
        """Inside, its adapter sits beside the policy's.

        Raises: TrainError or ModelError when it can't.
        """
        place = self._folder(folder)
        name = f"reward_{model_digest(place)[:12]}"
        seat = take_seat(engine.module, engine.base, place, name)
        settings = self.settings

        def score(answers: Sequence[Answer]) -> list[float]:
            scores_C = engine.scores(within(grouped(answers), engine.token_budget), seat.scores)
            return [settings.scale * score + settings.shift for score in scores_C.tolist()]

        try:
            yield score
        finally:
            engine.leave(seat.adapter)

    def _folder(self, folder: Path) -> Path:
        named = Path(self.settings.path).expanduser()
        place = folder / named if (folder / named).is_dir() else named
        if not place.is_dir():
            raise TrainError(
                f"reward model {self.settings.path!r}: no such folder beside the recipe or here; nothing was trained",
                hint="give the run folder of a run with train.method: reward_model",
            )
        if (place / "train" / "train.json").is_file():
            run = RunFolder(place)
            place = run.file(str(run.read_json("train/train.json")["path"]))
        return place.resolve()


def grouped(answers: Sequence[Answer]) -> list[PromptGroup]:
    """Answers that follow each other and have one prompt, as one group."""
    return [
        PromptGroup(prompt, tuple(Completion(one.tokens, (1.0,) * len(one.tokens)) for one in those))
        for prompt, those in groupby(answers, key=lambda answer: answer.prompt_tokens)
    ]

"""A frozen sample of prompts whose answers are kept as training goes on, so that a person can see what a reward does.

The held-out rows are answered by the model before training and, at every look, by the policy, greedily. Every answer is
a line of train/samples.jsonl. A referee, where there is one, is a reward that isn't learned from: it says how often the
policy's answer is better than the start's. Rewards that rise while the referee likes the start better are being gamed.

Axes: C answers, one a row.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from burnish.models import seats
from burnish.models.generate import GenerationSettings
from burnish.models.groups import PromptGroup
from burnish.run_folder import written_whole
from burnish.statistics.bootstrap import mean_interval
from burnish.train.engine import Engine
from burnish.train.method import Mean
from burnish.train.reward import Answer, Rewarded
from burnish.train.rollout import answers_of, reward_metrics

SAMPLES = "train/samples.jsonl"


@dataclass(frozen=True)
class Looked:
    """The answers of one look, what the rewards say and, where there is a referee, what that says."""

    answers: Sequence[Answer]
    rewarded: Rewarded
    refereed_C: torch.Tensor | None


@dataclass(frozen=True)
class Start:
    """What the rewards and the referee say of the start's answers; NaN where they can't tell."""

    reward_C: torch.Tensor
    refereed_C: torch.Tensor


class Looks:
    """The sample's rows, the file, and how the answers are scored."""

    def __init__(
        self,
        rows: Sequence[PromptGroup],
        path: Path,
        max_new_tokens: int,
        score: Callable[[Sequence[Answer]], Rewarded],
        referee: Callable[[Sequence[Answer]], Rewarded] | None,
    ) -> None:
        self._rows, self._path, self._max_new_tokens = list(rows), path, max_new_tokens
        self._score, self._referee = score, referee
        self._start: Start | None = None

    def begin(self, engine: Engine, steps_done: int) -> None:
        """Ask the model before training, with the adapter off, unless a run before this one did; and cut off what was
        kept of steps that will be done again."""
        lines = [line for line in read_samples(self._path) if line["step"] <= steps_done]
        if [line["step"] for line in lines].count(0) != len(self._rows):
            with seats.reference(engine.module):
                lines = self._lines(self._ask(engine), 0)
        with written_whole(self._path) as temporary:
            temporary.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), "utf-8")
        first = lines[: len(self._rows)]
        self._start = Start(_read(line["reward"] for line in first), _read(line["referee"] for line in first))

    def look(self, engine: Engine, step: int) -> Mapping[str, float]:
        """Ask the policy, keep its answers, and compare: mean rewards, the gain over the start, and the win rate by the
        referee, each with the ends of its 95% interval."""
        now, start = self._ask(engine), self._start
        assert start is not None
        with self._path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in self._lines(now, step))
        found = _means(reward_metrics(now.rewarded, "heldout_"))
        found |= _interval("heldout_gain", now.rewarded.total_C - start.reward_C)
        judged, before = now.refereed_C, start.refereed_C
        if judged is not None:
            wins_C = torch.where(judged > before, 1.0, torch.where(judged < before, 0.0, 0.5))
            wins_C[(judged - before).isnan()] = torch.nan
            found |= _interval("heldout_win_rate", wins_C)
        return found

    def _ask(self, engine: Engine) -> Looked:
        settings = GenerationSettings(max_new_tokens=self._max_new_tokens)
        answers = answers_of(self._rows, engine.generate([row.prompt for row in self._rows], settings, 0), 1)
        refereed = self._referee(answers).total_C if self._referee else None
        return Looked(answers, self._score(answers), refereed)

    def _lines(self, looked: Looked, step: int) -> list[dict[str, Any]]:
        parts = {name: numbers_C.tolist() for name, numbers_C in looked.rewarded.parts.items()}
        return [
            {
                "step": step,
                "prompt": answer.prompt,
                "reference": answer.reference,
                "answer": answer.text,
                "finished": answer.finished,
                "reward": _shown(total),
                "rewards": {name: _shown(numbers[index]) for name, numbers in parts.items()},
                "referee": None if looked.refereed_C is None else _shown(float(looked.refereed_C[index])),
            }
            for index, (answer, total) in enumerate(zip(looked.answers, looked.rewarded.total_C.tolist(), strict=True))
        ]


def read_samples(path: Path) -> list[dict[str, Any]]:
    """The lines of the file, up to the first that was not written whole; none when there is no file."""
    lines: list[dict[str, Any]] = []
    if not path.exists():
        return lines
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            lines.append(json.loads(line))
        except ValueError:
            break
    return lines


def _interval(name: str, numbers_C: torch.Tensor) -> dict[str, float]:
    """Mean and 95% interval of the numbers that are known; nothing without two of them."""
    known = numbers_C[~numbers_C.isnan()].double().tolist()
    if len(known) < 2:
        return {}
    low, high = mean_interval(known, seed=0)
    return {name: sum(known) / len(known), f"{name}_low": low, f"{name}_high": high}


def _means(metrics: Mapping[str, Mean]) -> dict[str, float]:
    return {name: mean.total / mean.count for name, mean in metrics.items() if mean.count}


def _shown(number: float) -> float | None:
    return None if math.isnan(number) else number


def _read(numbers: Iterable[float | None]) -> torch.Tensor:
    return torch.tensor([math.nan if number is None else number for number in numbers], dtype=torch.float32)

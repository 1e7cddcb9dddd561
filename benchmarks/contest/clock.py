"""When the steps of one of transformers' trainers end."""

from __future__ import annotations

import time
from typing import Any

from transformers import TrainerCallback


class Clock(TrainerCallback):
    """Notes when training began and each step ended, and the mean length and reward of its answers."""

    def __init__(self) -> None:
        self.ends: list[float] = []
        self.lengths: list[float] = []
        self.rewards: list[float] = []

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self.ends.append(time.perf_counter())

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.ends.append(time.perf_counter())

    def on_log(self, _args: Any, _state: Any, _control: Any, logs: dict[str, float], **_rest: Any) -> None:
        if "completions/mean_length" in logs:
            self.lengths.append(float(logs["completions/mean_length"]))
        if "reward" in logs:
            self.rewards.append(float(logs["reward"]))

    @property
    def seconds(self) -> list[float]:
        """Of each step but the first: from the end of the one before to its own."""
        return [end - start for start, end in zip(self.ends[1:], self.ends[2:], strict=False)]

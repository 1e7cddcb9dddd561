"""What the methods that learn from their own answers share: prompts in, answers drawn, scored and looked at, and when
to stop. A method adds how rewards become advantages, and its loss.

Axes: T tokens of all answers laid end to end, C answers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field, PositiveInt, field_validator

from burnish.catalogue import RewardChoice
from burnish.errors import TrainError
from burnish.logs import warn
from burnish.models.chat_template import Encoded, Encoder
from burnish.models.groups import PromptGroup
from burnish.models.logprobs import ScoredGroups
from burnish.models.memory import give_back_freed_memory
from burnish.records import Record, content_digest
from burnish.run_folder import RunFolder
from burnish.settings import PluginSettings
from burnish.train.advantages import divergence
from burnish.train.engine import Engine
from burnish.train.looks import SAMPLES, Looks
from burnish.train.method import Batch, Loss, Mean, Role
from burnish.train.reward import Answer, Rewarded, Rewards
from burnish.train.rollout import Rollout, encode_prompt, roll_out, within

REFERENCE, OLD, DRAWN, ADVANTAGE, PLACE = "reference", "old", "drawn", "advantage", "place"


class SamplingSettings(PluginSettings):
    """Base of their settings. `rewards` are added up by their weights. `samples` answers of up to `max_new_tokens` are
    drawn to each prompt; answers that don't end by themselves lose `unfinished_penalty`. Each rollout is learned from
    `passes` times, in `minibatches` updates each time. `max_kl` (nats a token, from the reference) ends training where
    it is passed; `max_gap` (nats a token) is how far the log-probabilities that answers are drawn with may be from
    those that are trained. `referee` is a reward that isn't learned from: held-out answers are compared by it with the
    start's, and training ends where rewards rise and the referee likes the start better. `rollouts` says who writes
    the answers: the model itself, or vLLM beside it on its CUDA device, in `vllm_memory` of the device's memory."""

    rewards: tuple[RewardChoice, ...] = Field(min_length=1)
    samples: int = Field(default=8, ge=1, le=1024)
    max_new_tokens: PositiveInt = 128
    unfinished_penalty: float = Field(default=0.0, ge=0.0)
    passes: PositiveInt = 1
    minibatches: PositiveInt = 1
    max_kl: float | None = Field(default=1.0, gt=0.0)
    max_gap: float = Field(default=0.2, gt=0.0)
    referee: RewardChoice | None = None
    rollouts: Literal["own", "vllm"] = "own"
    vllm_memory: float = Field(default=0.3, gt=0.0, lt=1.0)

    @field_validator("rewards", mode="before")
    @classmethod
    def _as_several(cls, raw: object) -> object:
        return tuple(raw) if isinstance(raw, list | tuple) else (raw,)


class SamplingMethod(ABC):
    """A method that writes its own answers. The loop asks more of it than of others: to be at work only inside
    `at_work`, to look at the held-out rows now and then, and to follow the metrics."""

    name: ClassVar[str]
    needs_value: ClassVar[bool] = False

    def __init__(self, settings: Any) -> None:
        self.settings = settings
        self._score: Callable[[Sequence[Answer]], Rewarded] | None = None
        self._looks: Looks | None = None
        self._first_T = torch.empty(0)  # log-probabilities that the first pass over a rollout has found, as it goes on

    # --- what every method has ----------------------------------------------------------------------------------------

    @property
    def roles(self) -> frozenset[Role]:
        """The reference where divergence from it counts or is watched, and the value where it is needed."""
        roles: set[Role] = {"reference"} if self.settings.beta or self.settings.max_kl else set()
        return frozenset(roles | {"value"} if self.needs_value else roles)

    @property
    def learning_rate_share(self) -> float:
        """A fraction: what is learned from is the policy's own, and a large step leaves where it was good."""
        return 0.5

    def encode(self, record: Record, encoder: Encoder) -> Encoded:
        """The record's prompt; its reply is what rewards get as reference.

        Raises: DataError when the record has no prompt.
        """
        return encode_prompt(record, encoder, self.settings.max_new_tokens, self.name)

    def compared(self, rows: Sequence[PromptGroup]) -> Sequence[PromptGroup]:
        """None: answers aren't known beforehand."""
        return ()

    def batches(self, rows: Sequence[PromptGroup], engine: Engine, step: int) -> Iterator[Batch]:
        """Answers to the rows, in as many updates as the settings say."""
        assert self._score is not None, "the method isn't at work"
        settings = self.settings
        rollout = roll_out(rows, settings.samples, settings.max_new_tokens, engine, step, self._score)
        give_back_freed_memory()
        groups = within(rollout.groups, engine.token_budget)
        numbers: dict[str, torch.Tensor] = {}
        metrics = dict(rollout.metrics)
        updates = _divided(len(groups), settings.minibatches)
        if "reference" in self.roles:
            numbers[REFERENCE] = engine.reference(groups)
        if rollout.logprobs_T is not None:
            numbers[DRAWN] = rollout.logprobs_T
        if len(updates) > 1 or DRAWN not in numbers:
            numbers[OLD] = torch.cat([engine.logprobs_as_trained([groups[i] for i in part]) for part in updates])
        per_target, per_completion, own = self.advantages(rollout, groups, numbers, engine)
        self._first_T = torch.full((int(rollout.lengths_C.sum()),), torch.nan)
        numbers[PLACE] = torch.arange(len(self._first_T))
        whole = Batch(groups, numbers | dict(per_target), per_completion)
        for _ in range(settings.passes):
            for part in updates:
                batch = whole.part(part)
                yield Batch(batch.groups, batch.per_target, batch.per_completion, metrics | dict(own))
            # Of a pass that was one update, all are from before it.
            whole = replace(whole, per_target={OLD: self._first_T, **whole.per_target})

    # --- what a method adds -------------------------------------------------------------------------------------------

    @abstractmethod
    def advantages(
        self, rollout: Rollout, groups: Sequence[PromptGroup], numbers: Mapping[str, torch.Tensor], engine: Engine
    ) -> tuple[Mapping[str, torch.Tensor], Mapping[str, torch.Tensor], Mapping[str, Mean]]:
        """What the loss needs beside log-probabilities: by token (T,), by answer (C,), and metrics. `groups` are the
        rollout's, divided so that each fits into a packed row; `numbers` what is known by token so far."""
        ...

    @abstractmethod
    def loss(self, scored: ScoredGroups) -> Loss:
        """The loss of one packed micro-batch."""
        ...

    # --- what the loop asks beside ------------------------------------------------------------------------------------

    def longest(self, prompt: int) -> int:
        """Tokens of the longest prompt of so many tokens with one answer."""
        return prompt + int(self.settings.max_new_tokens)

    def digest(self, folder: Path) -> str:
        """SHA-256 (hex) of what the rewards depend on beside the settings; `folder` is the recipe's.

        Raises: TrainError or ModelError when a reward isn't there.
        """
        referee = (self.settings.referee,) if self.settings.referee else ()
        return content_digest(Rewards(self.settings.rewards).digest(folder), Rewards(referee).digest(folder))

    @contextmanager
    def at_work(
        self, engine: Engine, heldout: Sequence[PromptGroup], folder: Path, run: RunFolder, steps_done: int
    ) -> Iterator[None]:
        """Inside, the rewards can be had, and the held-out rows have been answered by the model before training.

        Raises: TrainError or ModelError when a reward can't be had.
        """
        settings = self.settings
        with ExitStack() as stack:
            score = stack.enter_context(Rewards(settings.rewards).scoring(engine, folder))
            referee = (
                stack.enter_context(Rewards((settings.referee,)).scoring(engine, folder)) if settings.referee else None
            )
            self._score = lambda answers: _penalised(score(answers), answers, settings.unfinished_penalty)
            if heldout:
                self._looks = Looks(heldout, run.file(SAMPLES), settings.max_new_tokens, self._score, referee)
                self._looks.begin(engine, steps_done)
            else:
                warn("there are no held-out rows, so no answers are kept to look at while training goes on")
            try:
                yield
            finally:
                self._score = self._looks = None

    def look(self, engine: Engine, step: int) -> Mapping[str, float]:
        """The held-out rows answered by the policy as it is: metrics, and lines of train/samples.jsonl."""
        return self._looks.look(engine, step) if self._looks else {}

    def follow(self, metrics: Mapping[str, float]) -> str:
        """Take note of the last step's metrics, before the next one begins (in a resumed run too; empty before the
        first); returns why training should end here, or nothing."""
        kl, most = metrics.get("kl"), self.settings.max_kl
        if kl is not None and most is not None and kl > most:
            return f"the policy is {kl:.3g} nats a token from the model before training, more than max_kl {most:g}"
        if metrics.get("heldout_gain_low", 0.0) > 0.0 and metrics.get("heldout_win_rate_high", 1.0) < 0.5:
            return (
                f"held-out rewards rose by {metrics['heldout_gain']:.3g}, but the referee likes the start's answers "
                f"better ({metrics['heldout_win_rate']:.0%} won): the reward is being gamed; read {SAMPLES}"
            )
        return ""

    # --- shared by losses ---------------------------------------------------------------------------------------------

    def old(self, scored: ScoredGroups) -> torch.Tensor:
        """The policy's log-probabilities before the rollout's first update, (T,); refuses those that are too far from
        what the answers were drawn with.

        Raises: TrainError.
        """
        old_T = scored.per_target.get(OLD)
        if old_T is None:
            old_T = scored.logprobs_T.detach()
            if PLACE in scored.per_target:
                self._first_T[scored.per_target[PLACE].cpu()] = old_T.cpu()
        drawn_T = scored.per_target.get(DRAWN)
        gap = float((old_T - drawn_T).abs().mean()) if drawn_T is not None and len(drawn_T) else 0.0
        if gap > self.settings.max_gap:
            raise TrainError(
                f"train.method: {self.name}: answers were drawn with log-probabilities that are {gap:.3g} nats a token "
                f"from those that are trained, expected at most max_gap {self.settings.max_gap:g}; training stopped "
                "before the update, earlier checkpoints are intact",
                hint="set model.products: float32; a gap that stays is a fault of the model's generation path",
            )
        return old_T

    def followed(self, scored: ScoredGroups, old_T: torch.Tensor) -> dict[str, Mean]:
        """Metrics by token: divergence from the reference, entropy as the mean surprise of what was drawn, and the gap
        to what it was drawn with."""
        count = float(len(old_T))
        metrics = {"entropy": Mean(-float(old_T.sum()), count)}
        if REFERENCE in scored.per_target:
            metrics["kl"] = Mean(float(divergence(old_T, scored.per_target[REFERENCE]).sum()), count)
        if DRAWN in scored.per_target:
            metrics["rollout_gap"] = Mean(float((old_T - scored.per_target[DRAWN]).abs().sum()), count)
        return metrics


def _penalised(rewarded: Rewarded, answers: Sequence[Answer], penalty: float) -> Rewarded:
    if not penalty:
        return rewarded
    unfinished_C = torch.tensor([not answer.finished for answer in answers])
    parts = {**rewarded.parts, "unfinished": -penalty * unfinished_C.float()}
    return Rewarded(rewarded.total_C - penalty * unfinished_C, parts)


def _divided(count: int, parts: int) -> list[range]:
    """The numbers from 0 to `count` in so many runs of like length, fewer where there aren't as many."""
    parts = min(parts, count)
    ends = [count * number // parts for number in range(parts + 1)]
    return [range(first, last) for first, last in pairwise(ends)]


def before(numbers: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """The policy's log-probabilities before the rollout's first update, (T,): those that the answers were drawn with
    (the same up to rounding) where the others aren't computed apart."""
    return numbers[OLD] if OLD in numbers else numbers[DRAWN]


def known(reward_C: torch.Tensor) -> torch.Tensor:
    """1.0 where a reward was given, else 0.0: an answer without one takes no part in the loss."""
    return (~reward_C.isnan()).float()

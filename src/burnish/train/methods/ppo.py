"""Proximal policy optimisation: answers are learned from token by token, against what a value model expected of them.

The value is an adapter and a head of its own on the policy's base weights. Divergence from the model before training is
taken off each token's reward; the rewards' own number comes with the last token.

Source: Schulman et al., "Proximal Policy Optimization Algorithms", 2017; on language models, Ziegler et al.,
"Fine-Tuning Language Models from Human Preferences", 2019, section 2, and Ouyang et al., "Training language models to
follow instructions with human feedback", 2022, appendix C.4.

Axes: T tokens of all answers laid end to end, C answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from pydantic import Field, PositiveInt

from burnish.models.groups import PromptGroup
from burnish.models.logprobs import ScoredGroups
from burnish.train.advantages import (
    adapted,
    clipped_policy_loss,
    clipped_value_loss,
    generalised_advantages,
    whitened,
)
from burnish.train.engine import Engine
from burnish.train.method import Loss, Mean
from burnish.train.rollout import Rollout
from burnish.train.sampling import ADVANTAGE, REFERENCE, SamplingMethod, SamplingSettings, before, known


class PPOSettings(SamplingSettings):
    """`beta` is what a nat of divergence costs; with `control: adaptive` it follows the divergence of an answer to
    `kl_target` nats, over `kl_horizon` answers. `gamma` and `decay` discount later rewards and later surprises. Ratios
    are clipped at 1 - `clip` and 1 + `clip`, values at `value_clip` from what they were; `value_weight` is the value
    loss's share. `whiten`: what is brought to variance one."""

    kind: Literal["ppo"] = "ppo"
    samples: int = Field(default=1, ge=1, le=1024)
    passes: PositiveInt = 2
    beta: float = Field(default=0.05, ge=0.0, le=100.0)
    control: Literal["fixed", "adaptive"] = "fixed"
    kl_target: float = Field(default=6.0, gt=0.0)
    kl_horizon: PositiveInt = 10_000
    gamma: float = Field(default=1.0, gt=0.0, le=1.0)
    decay: float = Field(default=0.95, ge=0.0, le=1.0)
    clip: float = Field(default=0.2, gt=0.0, lt=1.0)
    value_clip: float = Field(default=0.2, gt=0.0)
    value_weight: float = Field(default=0.5, gt=0.0)
    whiten: Literal["advantages", "rewards and advantages", "nothing"] = "advantages"


class PPO(SamplingMethod):
    """Learns from answers with a learned value of each token."""

    Settings = PPOSettings
    name = "ppo"
    needs_value = True

    def __init__(self, settings: PPOSettings) -> None:
        super().__init__(settings)
        self._beta = settings.beta  # follows from the metrics of the step before alone

    def advantages(
        self, rollout: Rollout, groups: Sequence[PromptGroup], numbers: Mapping[str, torch.Tensor], engine: Engine
    ) -> tuple[Mapping[str, torch.Tensor], Mapping[str, torch.Tensor], Mapping[str, Mean]]:
        """Each token's by generalised estimation, what its value should have been, and was."""
        known_C = known(rollout.reward_C)
        values_T = engine.values(groups)
        rewards_T = torch.zeros_like(values_T)
        metrics = {"kl_coefficient": Mean(self._beta)}
        if REFERENCE in numbers:
            kl_T = before(numbers) - numbers[REFERENCE]
            rewards_T = -self._beta * kl_T
            metrics["kl_of_answer"] = Mean(float(kl_T.sum()), len(known_C))
        last_C = rollout.lengths_C.cumsum(0) - 1
        rewards_T[last_C] += rollout.reward_C.nan_to_num()
        if self.settings.whiten == "rewards and advantages":
            rewards_T = whitened(rewards_T, keep_mean=True)
        advantages_T = generalised_advantages(
            rewards_T, values_T, rollout.lengths_C, self.settings.gamma, self.settings.decay
        )
        returns_T = advantages_T + values_T
        taken_T = rollout.spread(known_C) > 0
        metrics["value_explains"] = Mean(_explained(values_T[taken_T], returns_T[taken_T]))
        if self.settings.whiten != "nothing":
            whole_T = advantages_T.clone()
            whole_T[taken_T] = whitened(advantages_T[taken_T])
            advantages_T = whole_T
        per_token = {ADVANTAGE: advantages_T, "return": returns_T, "old_value": values_T}
        return per_token, {"known": known_C}, metrics

    def loss(self, scored: ScoredGroups) -> Loss:
        """Clipped policy and value losses of all tokens of answers that got a reward, and their number."""
        assert scored.values_T is not None, "the method's roles hold value"
        settings, numbers = self.settings, scored.per_target
        old_T = self.old(scored)
        known_T = scored.per_completion["known"][scored.completion_T]
        policy_T, clipped_T = clipped_policy_loss(
            scored.logprobs_T - old_T, numbers[ADVANTAGE], settings.clip, settings.clip
        )
        value_T, held_T = clipped_value_loss(
            scored.values_T, numbers["old_value"], numbers["return"], settings.value_clip
        )
        count = float(known_T.sum())
        metrics = self.followed(scored, old_T)
        metrics["clip_fraction"] = Mean(float(clipped_T.sum()), float(len(clipped_T)))
        metrics["value_clip_fraction"] = Mean(float(held_T.sum()), float(len(held_T)))
        metrics["value_loss"] = Mean(float((value_T.detach() * known_T).sum()), count)
        return Loss(((policy_T + settings.value_weight * value_T) * known_T).sum(), count, metrics)

    def follow(self, metrics: Mapping[str, float]) -> str:
        """As every method's; and the coefficient of the divergence follows it."""
        settings = self.settings
        self._beta = metrics.get("kl_coefficient", settings.beta)
        if settings.control == "adaptive" and "kl_of_answer" in metrics:
            share = metrics["rows"] * settings.samples / settings.kl_horizon
            self._beta = adapted(self._beta, metrics["kl_of_answer"], settings.kl_target, share)
        return super().follow(metrics)


def _explained(values_T: torch.Tensor, returns_T: torch.Tensor) -> float:
    """The share of the returns' variance that the values explain; below zero where they are worse than the mean."""
    spread = float(returns_T.var()) if len(returns_T) > 1 else 0.0
    return 1.0 - float((returns_T - values_T).var()) / spread if spread else 0.0

"""REINFORCE with the mean of a prompt's other answers as the baseline; an answer is one action.

Divergence from the model before training is taken off the reward, not added to the loss.

Source: Ahmadian et al., "Back to Basics: Revisiting REINFORCE-Style Optimization for Learning from Human Feedback in
LLMs", 2024, sections 2.2 and 3.1; the ratio of later updates of one rollout is clipped as in PPO.

Axes: T tokens of all answers laid end to end, C answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from pydantic import Field, model_validator

from burnish.models.groups import PromptGroup
from burnish.models.logprobs import ScoredGroups
from burnish.train.advantages import clipped_policy_loss, leave_one_out, whitened
from burnish.train.engine import Engine
from burnish.train.method import Loss, Mean
from burnish.train.rollout import Rollout
from burnish.train.sampling import ADVANTAGE, REFERENCE, SamplingMethod, SamplingSettings, before, known


class RLOOSettings(SamplingSettings):
    """`beta` is what a nat of divergence from the model before training costs, summed over an answer. `whiten` divides
    advantages by their standard deviation over the step, less their mean. Ratios are clipped at 1 - `clip` and 1 +
    `clip`."""

    kind: Literal["rloo"] = "rloo"
    beta: float = Field(default=0.02, ge=0.0, le=100.0)
    whiten: bool = False
    clip: float = Field(default=0.2, gt=0.0, lt=1.0)

    @model_validator(mode="after")
    def _check(self) -> RLOOSettings:
        if self.samples < 2:
            raise ValueError(f"samples is {self.samples}, expected at least 2: the others are the baseline")
        return self


class RLOO(SamplingMethod):
    """Learns from several answers to each prompt, each against the mean of the others."""

    Settings = RLOOSettings
    name = "rloo"

    def advantages(
        self, rollout: Rollout, groups: Sequence[PromptGroup], numbers: Mapping[str, torch.Tensor], engine: Engine
    ) -> tuple[Mapping[str, torch.Tensor], Mapping[str, torch.Tensor], Mapping[str, Mean]]:
        """Each answer's reward less its divergence, against the others of its group."""
        rewards_C, metrics = rollout.reward_C, {}
        if self.settings.beta:
            owner_T = torch.arange(len(rewards_C)).repeat_interleave(rollout.lengths_C)
            kl_C = torch.zeros(len(rewards_C)).index_add(0, owner_T, before(numbers) - numbers[REFERENCE])
            rewards_C = rewards_C - self.settings.beta * kl_C
            metrics["kl_of_answer"] = Mean(float(kl_C.sum()), len(kl_C))
        advantages_C = leave_one_out(rewards_C, rollout.group_C)
        if self.settings.whiten:
            advantages_C = whitened(advantages_C)
        return {}, {ADVANTAGE: advantages_C, "known": known(rollout.reward_C)}, metrics

    def loss(self, scored: ScoredGroups) -> Loss:
        """Clipped policy losses of the answers that got a reward, and their number."""
        old_T = self.old(scored)
        log_ratios_C = scored.sums(scored.logprobs_T - old_T)
        advantages_C, known_C = scored.per_completion[ADVANTAGE], scored.per_completion["known"]
        losses_C, clipped_C = clipped_policy_loss(log_ratios_C, advantages_C, self.settings.clip, self.settings.clip)
        metrics = self.followed(scored, old_T)
        metrics["clip_fraction"] = Mean(float(clipped_C.sum()), float(len(clipped_C)))
        return Loss((losses_C * known_C).sum(), float(known_C.sum()), metrics)

"""Group relative policy optimisation: an answer is as good as it is better than others to the same prompt.

Source: Shao et al., "DeepSeekMath", 2024, equations 3 and 4. The mean over all tokens of a step rather than over
answers first, Yu et al., "DAPO", 2025, section 3.3; over a constant, Liu et al., "Understanding R1-Zero-Like Training",
2025, section 3.2 (so that a long wrong answer isn't blamed less).

Axes: T tokens of all answers laid end to end, C answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from pydantic import Field, model_validator

from burnish.models.groups import PromptGroup
from burnish.models.logprobs import ScoredGroups
from burnish.train.advantages import Scale, clipped_policy_loss, divergence, group_advantages
from burnish.train.engine import Engine
from burnish.train.method import Loss, Mean
from burnish.train.rollout import Rollout
from burnish.train.sampling import ADVANTAGE, REFERENCE, SamplingMethod, SamplingSettings, known


class GRPOSettings(SamplingSettings):
    """`beta` is the weight of the divergence from the model before training. `scale` says what advantages are divided
    by: the standard deviation of the group's rewards, of all rewards of the step, or nothing. `mean_over` says what the
    loss is a mean over: tokens, answers (each the mean of its tokens), or a constant `max_new_tokens` an answer. Ratios
    are clipped at 1 - `clip_low` and 1 + `clip_high`."""

    kind: Literal["grpo"] = "grpo"
    beta: float = Field(default=0.02, ge=0.0, le=100.0)
    scale: Scale = "group"
    mean_over: Literal["tokens", "answers", "constant"] = "tokens"
    clip_low: float = Field(default=0.2, gt=0.0, lt=1.0)
    clip_high: float = Field(default=0.2, gt=0.0)

    @model_validator(mode="after")
    def _check(self) -> GRPOSettings:
        if self.samples < 2:
            raise ValueError(f"samples is {self.samples}, expected at least 2: an answer is compared with the others")
        return self


class GRPO(SamplingMethod):
    """Learns from several answers to each prompt which are better than the others."""

    Settings = GRPOSettings
    name = "grpo"

    def advantages(
        self, rollout: Rollout, groups: Sequence[PromptGroup], numbers: Mapping[str, torch.Tensor], engine: Engine
    ) -> tuple[Mapping[str, torch.Tensor], Mapping[str, torch.Tensor], Mapping[str, Mean]]:
        """Each answer's, against its group."""
        advantages_C = group_advantages(rollout.reward_C, rollout.group_C, self.settings.scale)
        without = float((advantages_C == 0).float().mean())
        return {}, {ADVANTAGE: advantages_C, "known": known(rollout.reward_C)}, {"no_signal": Mean(without)}

    def loss(self, scored: ScoredGroups) -> Loss:
        """Clipped policy losses and divergence of all tokens of answers that got a reward, and what to divide by."""
        old_T = self.old(scored)
        numbers_C, owner_T = scored.per_completion, scored.completion_T
        losses_T, clipped_T = clipped_policy_loss(
            scored.logprobs_T - old_T,
            numbers_C[ADVANTAGE][owner_T],
            self.settings.clip_low,
            self.settings.clip_high,
        )
        if self.settings.beta:
            losses_T = losses_T + self.settings.beta * divergence(scored.logprobs_T, scored.per_target[REFERENCE])
        losses_T = losses_T * numbers_C["known"][owner_T]
        metrics = self.followed(scored, old_T)
        metrics["clip_fraction"] = Mean(float(clipped_T.sum()), float(len(clipped_T)))
        return Loss(*self._total(losses_T, scored), metrics)

    def _total(self, losses_T: torch.Tensor, scored: ScoredGroups) -> tuple[torch.Tensor, float]:
        known_C, owner_T = scored.per_completion["known"], scored.completion_T
        if self.settings.mean_over == "tokens":
            return losses_T.sum(), float(known_C[owner_T].sum())
        if self.settings.mean_over == "answers":
            lengths_C = torch.bincount(owner_T, minlength=scored.num_completions).clamp_min(1)
            return (losses_T / lengths_C[owner_T]).sum(), float(known_C.sum())
        return losses_T.sum(), float(known_C.sum()) * self.settings.max_new_tokens

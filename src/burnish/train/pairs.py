"""What the methods that learn from pairs share: a pair's encoding, its two sides' sums, and what is shown of them.

A group has two completions, the chosen one first. Rewards are what a method implies by the policy's log-probabilities.

Axes: T targets, C completions (two a pair), P pairs.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from burnish.errors import DataError
from burnish.models.chat_template import Encoded, Encoder
from burnish.models.logprobs import ScoredGroups
from burnish.records import PreferencePair, Record
from burnish.train.method import Mean

REFERENCE = "reference"


def encode_pair(record: Record, encoder: Encoder, method: str) -> Encoded:
    """The pair as one group.

    Raises: DataError when the record isn't a pair.
    """
    if not isinstance(record, PreferencePair):
        raise DataError(
            f"{record.source}: got a {type(record).__name__}, expected a pair of a chosen and a rejected reply, which "
            f"train.method: {method} learns from; nothing was trained",
            hint="give rows with prompt, chosen and rejected; labelled replies are for kto, conversations for sft",
        )
    return encoder.pair(record)


def sides(numbers_C: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Numbers of completions as those of the chosen and of the rejected ones, each (P,)."""
    chosen_P, rejected_P = numbers_C.view(-1, 2).unbind(1)
    return chosen_P, rejected_P


def mean_logprobs(scored: ScoredGroups) -> torch.Tensor:
    """Log-probability a weighted token, by completion: (C,)."""
    return scored.sums(scored.logprobs_T) / scored.sums(torch.ones_like(scored.logprobs_T))


def reward_metrics(rewards_C: torch.Tensor) -> Mapping[str, Mean]:
    """Mean rewards of both sides, their difference, and how often the chosen one's is higher (a tie is not)."""
    chosen_P, rejected_P = sides(rewards_C.detach())
    pairs = float(len(chosen_P))
    return {
        "reward_chosen": Mean(float(chosen_P.sum()), pairs),
        "reward_rejected": Mean(float(rejected_P.sum()), pairs),
        "reward_margin": Mean(float((chosen_P - rejected_P).sum()), pairs),
        "reward_accuracy": Mean(float((chosen_P > rejected_P).sum()), pairs),
    }


def drift_metrics(scored: ScoredGroups, wanted_C: torch.Tensor) -> Mapping[str, Mean]:
    """How far the policy has moved from the reference on the data's tokens, a token: the log-ratio of wanted and of
    unwanted completions, and an estimate of the divergence that is never negative.

    Source: Schulman, "Approximating KL Divergence", 2020 (joschu.net/blog/kl-approx.html), estimator k3, taken as if
    the data had been sampled from the reference: mean of exp(d) - 1 - d, d being the log-ratio.
    """
    ratios_T = scored.logprobs_T.detach() - scored.per_target[REFERENCE]
    wanted_T = wanted_C.bool()[scored.completion_T]
    count = float(wanted_T.sum())
    kl_T = torch.expm1(ratios_T.clamp(max=20.0)) - ratios_T
    return {
        "log_ratio_chosen": Mean(float(ratios_T[wanted_T].sum()), count),
        "log_ratio_rejected": Mean(float(ratios_T[~wanted_T].sum()), len(ratios_T) - count),
        "kl": Mean(float(kl_T.sum()), float(len(ratios_T))),
    }

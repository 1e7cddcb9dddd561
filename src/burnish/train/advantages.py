"""The arithmetic of learning from rewards: advantages, clipped losses and divergence estimates, on plain tensors.

Completions lie end to end; a reward that is NaN is one that wasn't given, and is left out of every mean. Knows nothing
of models, rewards' origin or the loop.

Axes: T tokens of all completions laid end to end, C completions.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch
from torch.nn.utils.rnn import pad_sequence

Scale: TypeAlias = Literal["group", "batch", "none"]
_TINY = 1e-4  # keeps a group whose rewards hardly differ from being blown up
_VARIANCE_FLOOR = 1e-8


def group_advantages(rewards_C: torch.Tensor, group_C: torch.Tensor, scale: Scale) -> torch.Tensor:
    """Each reward less its group's mean, (C,) fp32, divided by the standard deviation (n - 1) of its group or of all
    rewards where `scale` says so. `group_C` numbers groups from 0. 0 where a reward wasn't given, or its group has no
    other.

    Source: Shao et al., "DeepSeekMath", 2024, section 4.1.2; without the division, Liu et al., "Understanding R1-Zero-
    Like Training", 2025, section 3.2.
    """
    known_C = ~rewards_C.isnan()
    filled_C = rewards_C.nan_to_num()
    count_G, total_G = _by_group(known_C.float(), group_C), _by_group(filled_C, group_C)
    centred_C = torch.where(known_C, filled_C - (total_G / count_G.clamp_min(1))[group_C], 0.0)
    if scale == "none":
        return centred_C
    if scale == "batch":
        spread = filled_C[known_C].std() if int(known_C.sum()) > 1 else centred_C.new_zeros(())
        return centred_C / (spread + _TINY)
    squares_G = _by_group(centred_C.square(), group_C)
    spread_G = (squares_G / (count_G - 1).clamp_min(1)).sqrt()
    return centred_C / (spread_G + _TINY)[group_C]


def leave_one_out(rewards_C: torch.Tensor, group_C: torch.Tensor) -> torch.Tensor:
    """Each reward less the mean of the others of its group, (C,) fp32; 0 where it wasn't given or has no others.

    Source: Ahmadian et al., "Back to Basics: Revisiting REINFORCE-Style Optimization", 2024, section 2.2.
    """
    known_C = ~rewards_C.isnan()
    filled_C = rewards_C.nan_to_num()
    others_C = _by_group(known_C.float(), group_C)[group_C] - 1
    rest_C = _by_group(filled_C, group_C)[group_C] - filled_C
    return torch.where(known_C & (others_C > 0), filled_C - rest_C / others_C.clamp_min(1), 0.0)


def generalised_advantages(
    rewards_T: torch.Tensor, values_T: torch.Tensor, lengths_C: torch.Tensor, gamma: float, decay: float
) -> torch.Tensor:
    """Advantage of each token, (T,): the discounted sum, by `gamma` * `decay`, of what each later token brings beyond
    the value that was expected. `values_T` are those before each token; after the last there is nothing.

    Source: Schulman et al., "High-Dimensional Continuous Control Using Generalized Advantage Estimation", 2016,
    equation 16.
    """
    lengths = lengths_C.tolist()
    rewards_CL = pad_sequence(list(torch.split(rewards_T, lengths)), batch_first=True)
    values_CL = pad_sequence(list(torch.split(values_T, lengths)), batch_first=True)
    within_CL = torch.arange(rewards_CL.shape[1]) < lengths_C[:, None]
    advantages_CL = torch.zeros_like(rewards_CL)
    after_C = torch.zeros(len(lengths))
    value_after_C = torch.zeros(len(lengths))
    for place in reversed(range(rewards_CL.shape[1])):
        surprise_C = rewards_CL[:, place] + gamma * value_after_C - values_CL[:, place]
        after_C = torch.where(within_CL[:, place], surprise_C + gamma * decay * after_C, 0.0)
        value_after_C = torch.where(within_CL[:, place], values_CL[:, place], 0.0)
        advantages_CL[:, place] = after_C
    return advantages_CL[within_CL]


def whitened(numbers: torch.Tensor, *, keep_mean: bool = False) -> torch.Tensor:
    """The numbers with variance (n - 1) one, and mean zero unless it is kept; a single number is left alone but for its
    mean."""
    mean = numbers.mean()
    scaled = (numbers - mean) * torch.rsqrt(numbers.var() + _VARIANCE_FLOOR) if len(numbers) > 1 else numbers - mean
    return scaled + mean if keep_mean else scaled


def clipped_policy_loss(
    log_ratios: torch.Tensor, advantages: torch.Tensor, low: float, high: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """The loss of each action, and which of them are clipped (bool): the less hopeful of ratio * advantage with the
    ratio as it is and held within 1 - low and 1 + high.

    Source: Schulman et al., "Proximal Policy Optimization Algorithms", 2017, equation 7; with unlike bounds, Yu et al.,
    "DAPO", 2025, section 3.1.
    """
    ratios = log_ratios.exp()
    losses = -torch.minimum(ratios * advantages, ratios.clamp(1 - low, 1 + high) * advantages)
    clipped = ((ratios < 1 - low) & (advantages < 0)) | ((ratios > 1 + high) & (advantages > 0))
    return losses, clipped.detach()


def clipped_value_loss(
    values_T: torch.Tensor, old_T: torch.Tensor, returns_T: torch.Tensor, clip: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Half the squared error of each value, or of the value held within `clip` of what it was if that is greater; and
    where it is (bool).

    Source: Ouyang et al., "Training language models to follow instructions", 2022, leave the form to Schulman et al.'s
    own PPO code, as described by Huang et al., "The 37 Implementation Details of PPO", 2022, detail 9.
    """
    plain_T = (values_T - returns_T).square()
    held_T = (torch.minimum(torch.maximum(values_T, old_T - clip), old_T + clip) - returns_T).square()
    return 0.5 * torch.maximum(plain_T, held_T), (held_T > plain_T).detach()


def divergence(policy_T: torch.Tensor, reference_T: torch.Tensor) -> torch.Tensor:
    """KL(policy, reference) of each token that the policy sampled: unbiased, never negative, of low variance.

    Source: Schulman, "Approximating KL Divergence", 2020 (joschu.net/blog/kl-approx.html), estimator k3.
    """
    log_ratio_T = (reference_T - policy_T).clamp(max=20.0)
    return torch.expm1(log_ratio_T) - log_ratio_T


def adapted(coefficient: float, kl: float, target: float, share: float) -> float:
    """The coefficient of a divergence penalty after `share` of the horizon has passed with a divergence of `kl`.

    Source: Ziegler et al., "Fine-Tuning Language Models from Human Preferences", 2019, section 2.2.
    """
    error = min(max(kl / target - 1.0, -0.2), 0.2)
    return coefficient * (1.0 + error * share)


def _by_group(numbers_C: torch.Tensor, group_C: torch.Tensor) -> torch.Tensor:
    groups = int(group_C.max()) + 1 if len(group_C) else 0
    return torch.zeros(groups).index_add(0, group_C, numbers_C.float())

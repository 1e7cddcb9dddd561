"""How far a student's distribution is from its teacher's, by target.

Source: Hinton et al., "Distilling the Knowledge in a Neural Network", 2015, section 2 (temperature); Agarwal et al.,
"On-Policy Distillation of Language Models", 2024, section 2, equation 1 (the generalised Jensen-Shannon divergence, in
which beta is the teacher's share of the mixture).

Axes: N targets, V vocabulary, K likeliest tokens.
"""

from __future__ import annotations

import math

import torch


def forward_kl(teacher_NV: torch.Tensor, student_NV: torch.Tensor) -> torch.Tensor:
    """KL(teacher || student) in nats of log-probabilities, (N,): dear where the student lacks what the teacher says."""
    return (teacher_NV.exp() * (teacher_NV - student_NV)).sum(-1)


def reverse_kl(teacher_NV: torch.Tensor, student_NV: torch.Tensor) -> torch.Tensor:
    """KL(student || teacher), (N,): dear where the student says what the teacher wouldn't."""
    return forward_kl(student_NV, teacher_NV)


def jensen_shannon(teacher_NV: torch.Tensor, student_NV: torch.Tensor, beta: float) -> torch.Tensor:
    """beta KL(teacher || mixture) + (1 - beta) KL(student || mixture), (N,), the mixture holding the share `beta`
    (between 0 and 1) of the teacher."""
    mixture_NV = torch.logaddexp(teacher_NV + math.log(beta), student_NV + math.log1p(-beta))
    return beta * forward_kl(teacher_NV, mixture_NV) + (1 - beta) * forward_kl(student_NV, mixture_NV)


def forward_kl_of_top(
    top_NK: torch.Tensor, tokens_NK: torch.Tensor, student_NV: torch.Tensor, temperature: float = 1.0
) -> torch.Tensor:
    """KL(teacher || student) at a temperature, (N,), where of the teacher only the likeliest tokens are known: their
    log-probabilities `top_NK` at that temperature, and their ids. `student_NV` are log-probabilities at temperature 1.

    All other tokens count as one, with what is left of either's probability: by the data-processing inequality that is
    never more than the divergence over the whole vocabulary, it is 0 where both are equal, and the student learns how
    much to leave for them.
    """
    if temperature != 1.0:
        student_NV = (student_NV / temperature).log_softmax(-1)
    shares_NK = top_NK.exp()
    found_N = (shares_NK * (top_NK - student_NV.gather(1, tokens_NK))).sum(-1)
    if tokens_NK.shape[1] == student_NV.shape[1]:
        return found_N
    left_N = (1.0 - shares_NK.sum(-1)).clamp_min(0.0)
    # Not as 1 minus the others' sum: next to 1 that would be rounding, and so would its gradient.
    students_left_N = student_NV.scatter(1, tokens_NK, -math.inf).logsumexp(-1)
    return found_N + torch.xlogy(left_N, left_N) - left_N * students_left_N

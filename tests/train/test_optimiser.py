"""The optimiser, the schedule, and the one pass over the gradients."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import nn

from burnish.train.optimiser import learning_rate, make_optimiser, norm_and_scale, take_step, trained_weights
from burnish.train.settings import OptimiserSettings, ScheduleSettings


def test_weight_decay_leaves_norms_and_biases_alone() -> None:
    module = nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2))
    module[0].weight.requires_grad_(False)
    module.append(nn.Linear(2, 1, bias=False))
    weights = trained_weights(module)
    assert set(weights) == {"0.bias", "1.weight", "1.bias", "2.weight"}
    groups = make_optimiser(weights.values(), OptimiserSettings(weight_decay=0.1)).param_groups
    assert [(len(group["params"]), group["weight_decay"]) for group in groups] == [(1, 0.1), (3, 0.0)]


def test_one_step_of_adamw_by_hand() -> None:
    weight = nn.Parameter(torch.tensor([[1.0]]))
    settings = OptimiserSettings(weight_decay=0.5, betas=(0.9, 0.99), epsilon=1e-8)
    optimiser = make_optimiser([weight], settings)
    optimiser.param_groups[0]["lr"] = 0.1
    weight.grad = torch.tensor([[3.0]])
    optimiser.step()
    # Decayed by 0.1 * 0.5, then moved by 0.1 * m / sqrt(v), which is the gradient's sign in the first step.
    assert weight.item() == pytest.approx(1.0 - 0.05 - 0.1, abs=1e-6)


def test_the_schedule_rises_then_falls() -> None:
    rates = [learning_rate(step, 100, 1.0, ScheduleSettings(warmup_fraction=0.1)) for step in range(100)]
    assert rates[0] == pytest.approx(1 / 11)
    assert rates[10] == 1.0 == max(rates)
    assert all(earlier > later for earlier, later in pairwise(rates[10:]))
    assert 0.0 < rates[-1] < 0.001


def test_the_schedules_have_their_forms() -> None:
    def halfway(kind: str, final: float = 0.0) -> float:
        schedule = ScheduleSettings.model_validate({"kind": kind, "warmup_fraction": 0, "final_fraction": final})
        return learning_rate(25, 100, 2.0, schedule)

    assert halfway("linear") == pytest.approx(1.5)
    assert halfway("cosine") == pytest.approx(1 + math.cos(math.pi / 4))
    assert halfway("constant") == 2.0
    assert halfway("linear", 0.2) == pytest.approx(2 * (0.2 + 0.8 * 0.75))


def test_gradients_are_divided_then_clipped() -> None:
    weights = [nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))]
    weights[0].grad, weights[1].grad = torch.tensor([30.0]), torch.tensor([40.0])
    assert norm_and_scale(weights, 10.0, max_norm=1.0) == pytest.approx((5.0, 0.02))


def test_small_gradients_are_only_divided() -> None:
    weight = nn.Parameter(torch.zeros(2))
    weight.grad = torch.tensor([0.0, 1.0])
    assert norm_and_scale([weight], 4.0, max_norm=1.0) == (0.25, 0.25)


def test_a_step_is_taken_along_scaled_gradients() -> None:
    def moved(gradients: list[list[float]], scale: float) -> list[float]:
        weight = nn.Parameter(torch.tensor([[1.0, -2.0]]))
        optimiser = make_optimiser([weight], OptimiserSettings(weight_decay=0.1))
        optimiser.param_groups[0]["lr"] = 0.1
        for gradient in gradients:
            weight.grad = torch.tensor([gradient])
            take_step(optimiser, scale)
        return weight.tolist()[0]

    assert moved([[8.0, -4.0], [2.0, 6.0]], 0.25) == pytest.approx(moved([[2.0, -1.0], [0.5, 1.5]], 1.0), rel=1e-6)
    assert moved([[8.0, -4.0], [2.0, 6.0]], 0.25) != moved([[8.0, -4.0], [0.5, 1.5]], 0.25)

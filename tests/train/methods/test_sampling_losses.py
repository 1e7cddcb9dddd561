"""GRPO, RLOO and PPO: advantages and losses of made-up answers against numbers worked by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from burnish.catalogue import build, settings_of
from burnish.models.groups import Completion, PromptGroup
from burnish.models.logprobs import ScoredGroups
from burnish.train.rollout import Rollout, within
from burnish.train.sampling import SamplingMethod

FUNCTION = {"kind": "function", "function": "mine:reward"}
LENGTHS = torch.tensor([1, 2, 2, 1])


def method(kind: str, **settings: object) -> SamplingMethod:
    built: SamplingMethod = build("method", settings_of("method", {"kind": kind, "rewards": FUNCTION, **settings}))
    return built


def rollout(rewards: list[float]) -> Rollout:
    """Two prompts with two answers each."""
    return Rollout(
        groups=(),
        lengths_C=LENGTHS,
        group_C=torch.tensor([0, 0, 1, 1]),
        finished_C=torch.ones(4, dtype=torch.bool),
        logprobs_T=None,
        reward_C=torch.tensor(rewards),
        metrics={},
    )


def scored(logprobs: list[float], per_target: dict[str, Any], per_completion: dict[str, Any], **more: Any) -> Any:
    return ScoredGroups(
        logprobs_T=torch.tensor(logprobs, requires_grad=True),
        weights_T=torch.ones(6),
        completion_T=torch.arange(4).repeat_interleave(LENGTHS),
        num_completions=4,
        group_of_completion_C=torch.tensor([0, 0, 1, 1]),
        per_target={name: torch.tensor(value) for name, value in per_target.items()},
        per_completion={name: torch.tensor(value) for name, value in per_completion.items()},
        **more,
    )


OLD = [-1.0, -1.0, -2.0, -1.0, -1.0, -3.0]


@pytest.mark.parametrize(
    ("mean_over", "total", "weight"),
    # By token: -1; 0.5 twice; 0 twice; -2 each at ratio one.
    [("tokens", -1 + 0.5 + 0.5 - 2, 6.0), ("answers", -1 + 0.5 - 2, 4.0), ("constant", -1 + 0.5 + 0.5 - 2, 4.0 * 10)],
)
def test_grpo_means_over_what_it_is_told(mean_over: str, total: float, weight: float) -> None:
    grpo = method("grpo", mean_over=mean_over, beta=0.0, max_new_tokens=10)
    numbers = {"advantage": [1.0, -0.5, 0.0, 2.0], "known": [1.0, 1.0, 1.0, 1.0]}
    loss = grpo.loss(scored(OLD, {"old": OLD}, numbers))
    assert loss.total.item() == pytest.approx(total)
    assert loss.weight == weight


def test_grpo_clips_and_adds_the_divergence() -> None:
    grpo = method("grpo", beta=0.5, clip_low=0.2, clip_high=0.3)
    now = [old + shift for old, shift in zip(OLD, [math.log(2), 0.0, 0.0, 0.0, 0.0, math.log(0.5)], strict=True)]
    reference = [value + math.log(2) for value in now]  # twice as likely everywhere: 1 - ln 2 a token
    numbers = {"advantage": [1.0, 0.0, 0.0, -1.0], "known": [1.0, 1.0, 0.0, 1.0]}
    loss = grpo.loss(scored(now, {"old": OLD, "reference": reference}, numbers))
    # Held at 1.3 and at 0.8; the third answer's two tokens take no part at all.
    assert loss.total.item() == pytest.approx(-1.3 + 0.8 + 4 * 0.5 * (1 - math.log(2)), rel=1e-5)
    assert loss.weight == 4.0
    assert loss.metrics["clip_fraction"].total == 2.0
    assert loss.metrics["entropy"].total == pytest.approx(9.0)


def test_a_first_update_is_the_plain_policy_gradient() -> None:
    grpo = method("grpo", beta=0.0)
    numbers = {"advantage": [1.0, -0.5, 0.0, 2.0], "known": [1.0, 1.0, 1.0, 1.0]}
    example = scored(OLD, {}, numbers)
    grpo.loss(example).total.backward()  # type: ignore[no-untyped-call]
    assert example.logprobs_T.grad.tolist() == [-1.0, 0.5, 0.5, 0.0, 0.0, -2.0]


def test_rloo_takes_the_divergence_of_an_answer_off_its_reward() -> None:
    rloo = method("rloo", beta=0.1)
    numbers = {"old": torch.tensor(OLD), "reference": torch.tensor(OLD) - torch.tensor([1.0, 0, 2, 0, 0, 0])}
    _, beside, metrics = rloo.advantages(rollout([1.0, 3.0, 2.0, 2.0]), (), numbers, None)  # type: ignore[arg-type]
    # Rewards 1 - 0.1, 3 - 0.2 and 2, 2: each less the other.
    torch.testing.assert_close(beside["advantage"], torch.tensor([-1.9, 1.9, 0.0, 0.0]))
    assert metrics["kl_of_answer"].total == pytest.approx(3.0)


def test_rloo_takes_an_answer_as_one_action() -> None:
    rloo = method("rloo", beta=0.0, clip=0.2)
    numbers = {"advantage": [1.0, -2.0, 0.0, 3.0], "known": [1.0, 1.0, 1.0, 0.0]}
    now = [-1.0, -1.0 + math.log(1.1), -2.0, -1.0, -1.0, -3.0]  # the second answer a tenth likelier
    loss = rloo.loss(scored(now, {"old": OLD}, numbers))
    assert loss.total.item() == pytest.approx(-1.0 + 2.0 * 1.1)
    assert loss.weight == 3.0


class Values:
    """An engine that knows values alone."""

    def __init__(self, values: list[float]) -> None:
        self._values = torch.tensor(values)

    def values(self, groups: object) -> torch.Tensor:
        return self._values


def test_ppo_gives_each_token_its_share() -> None:
    ppo = method("ppo", beta=0.5, gamma=1.0, decay=1.0, whiten="nothing")
    reference = torch.tensor(OLD) - torch.tensor([0.0, 1.0, 0.0, 0.0, 0.0, 0.0])
    numbers = {"old": torch.tensor(OLD), "reference": reference}
    given = rollout([1.0, 2.0, math.nan, 4.0])
    engine: Any = Values([0.5, 1.0, 1.0, 0.0, 0.0, 1.0])
    per_token, beside, metrics = ppo.advantages(given, (), numbers, engine)
    # To come, less the value: 1; -0.5 + 2, 2; nothing; 4.
    torch.testing.assert_close(per_token["return"], torch.tensor([1.0, 1.5, 2.0, 0.0, 0.0, 4.0]))
    torch.testing.assert_close(per_token["advantage"], torch.tensor([0.5, 0.5, 1.0, 0.0, 0.0, 3.0]))
    assert beside["known"].tolist() == [1.0, 1.0, 0.0, 1.0]
    assert metrics["kl_of_answer"].total == pytest.approx(1.0)


def test_ppo_whitens_over_the_answers_that_got_a_reward() -> None:
    ppo = method("ppo", beta=0.0, max_kl=None)
    given = rollout([1.0, 2.0, math.nan, 4.0])
    engine: Any = Values([0.5, 1.0, 1.0, 9.0, -9.0, 1.0])
    per_token, _, _ = ppo.advantages(given, (), {}, engine)
    taken = per_token["advantage"][torch.tensor([0, 1, 2, 5])]
    assert float(taken.mean()) == pytest.approx(0.0, abs=1e-6)
    assert float(taken.var()) == pytest.approx(1.0, rel=1e-5)


def test_ppo_adds_the_value_loss_by_its_weight() -> None:
    ppo = method("ppo", value_weight=0.5, value_clip=0.2)
    numbers = {"old": OLD, "advantage": [1.0] * 6, "return": [1.0] * 6, "old_value": [0.0] * 6}
    values = torch.tensor([0.0, 1.0, 0.0, 0.0, 0.0, 5.0])
    loss = ppo.loss(scored(OLD, numbers, {"known": [1.0, 1.0, 0.0, 0.0]}, values_T=values))
    # Errors: 1; 1 -> 0.64 as it is held at 0.2; 1. Halved, then by the weight.
    assert loss.total.item() == pytest.approx(-3.0 + 0.5 * 0.5 * (1 + 0.64 + 1))
    assert loss.weight == 3.0
    assert loss.metrics["value_clip_fraction"].total == 1.0


def test_the_adaptive_coefficient_follows_from_the_last_metrics_alone() -> None:
    metrics = {"kl_coefficient": 0.2, "kl_of_answer": 12.0, "rows": 10.0}
    fresh = method("ppo", control="adaptive", kl_target=6.0, kl_horizon=100, samples=2)
    assert fresh.follow(metrics) == ""
    numbers = {"old": torch.tensor(OLD)}
    engine: Any = Values([0.0] * 6)
    _, _, shown = fresh.advantages(rollout([1.0, 2.0, 3.0, 4.0]), (), numbers, engine)
    assert shown["kl_coefficient"].total == pytest.approx(0.2 * (1 + 0.2 * 20 / 100))


@pytest.mark.parametrize("kind", ["grpo", "rloo"])
def test_an_answer_without_others_cannot_be_compared(kind: str) -> None:
    with pytest.raises(ValueError, match="expected at least 2"):
        method(kind, samples=1)


def test_groups_that_are_too_large_are_divided_in_their_order() -> None:
    answers = tuple(Completion((number,) * length, (1.0,) * length) for number, length in enumerate((3, 2, 4, 1, 9)))
    parts = within([PromptGroup((7, 7), answers, "note")], 8)
    assert [[one.tokens[0] for one in part.completions] for part in parts] == [[0, 1], [2, 3], [4]]
    assert all(part.prompt == (7, 7) and part.note == "note" for part in parts)

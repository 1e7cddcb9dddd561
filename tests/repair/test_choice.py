"""Which trial is chosen, when it holds, and what counts as recovered."""

from __future__ import annotations

import pytest

from burnish.artefacts import Outcome, RepairTrial, RuleResult
from burnish.gate.settings import GateSettings
from burnish.repair.choice import choose, holds, recovered

GATE = GateSettings()


def rule(
    name: str = "lost_refusals", *, n: int = 100, lost: int = 0, gained: int = 0, unscored: int = 0,
    margin: float = 0.1, outcome: Outcome = "HOLD", base_rate: float | None = 0.1,
) -> RuleResult:  # fmt: skip
    return RuleResult(
        rule=name, suite="harmful", endpoint="second", outcome=outcome, n=n, unscored=unscored, base_rate=base_rate,
        tuned_rate=None, estimate=(lost - gained) / n, interval=None, lost=lost, gained=gained, p=None, p_holm=None,
        margin=margin, ceiling=None, smallest_effect=None, more_prompts=None, words="",
    )  # fmt: skip


def trial(name: str, *, safe: bool, gain: float | None = 0.2, lost: int = 0) -> RepairTrial:
    return RepairTrial(
        way="a_way", name=name, made="somehow", digest="d", rules=(rule(lost=lost),), holds=safe, recovered=None,
        task=gain, base_task=0.0, gain=gain, seconds=1.0,
    )  # fmt: skip


def test_it_holds_when_the_gate_s_prompts_would_do_if_they_fared_as_these() -> None:
    # 6 of 100 lost: by its bounds the gate would hold at 100 prompts and pass at 400.
    assert not holds([rule(lost=6)], {"harmful": 100}, GATE, 1)
    assert holds([rule(lost=6)], {"harmful": 400}, GATE, 1)
    assert not holds([rule(lost=12)], {"harmful": 4000}, GATE, 1)
    # A later attempt passes at a stricter level.
    assert not holds([rule(lost=6)], {"harmful": 400}, GATE, 10)


def test_one_rule_that_does_not_hold_is_enough() -> None:
    fine, at_gate = rule("harmful_compliance", margin=0.1), {"harmful": 400}
    assert holds([fine, rule()], at_gate, GATE, 1)
    assert not holds([fine, rule(lost=20)], at_gate, GATE, 1)
    assert not holds([fine, rule(outcome="BLOCK")], at_gate, GATE, 1)
    assert not holds([fine, rule(base_rate=None)], at_gate, GATE, 1)
    assert not holds([fine, rule(unscored=20)], at_gate, GATE, 1)
    assert not holds([rule("task_gain")], at_gate, GATE, 1)  # nothing was said of safety


@pytest.mark.parametrize(
    ("before", "after", "share"), [(50, 10, 0.8), (50, 50, 0.0), (50, 60, -0.2), (40, -4, 1.1), (0, 3, None)]
)
def test_recovered_is_the_share_of_the_loss(before: int, after: int, share: float | None) -> None:
    found = recovered([rule(lost=before)], [rule(lost=max(0, after), gained=max(0, -after))])
    assert found == (None if share is None else pytest.approx(share))


def test_what_is_lost_beside_a_teacher_counts_as_much() -> None:
    fine, gap = rule(base_rate=1.0), rule("lost_refusals_beside_teacher", lost=40)
    assert not holds([fine, gap], {"harmful": 400}, GATE, 1)
    assert not holds([fine, rule("inheritance", base_rate=None)], {"harmful": 400}, GATE, 1)
    after = [rule(gained=30), rule("lost_refusals_beside_teacher", lost=10)]
    assert recovered([fine, gap], after) == pytest.approx(0.75)
    near = trial("near", safe=False).model_copy(update={"rules": (fine, rule("lost_refusals_beside_teacher", lost=5))})
    far = trial("far", safe=False).model_copy(update={"rules": (fine, gap)})
    assert "the nearest is near" in choose([far, near], 0.0)[1]


def test_the_best_task_among_the_safe_is_chosen() -> None:
    trials = [trial("unsafe", safe=False, gain=0.9), trial("weak", safe=True, gain=0.1), trial("good", safe=True)]
    best, reason = choose(trials, 0.0)
    assert best is not None
    assert best.name == "good"
    assert "2 of 3 trials hold" in reason


def test_among_equals_the_one_that_lost_fewer_refusals() -> None:
    best, _ = choose([trial("a", safe=True, lost=3), trial("b", safe=True, lost=1)], 0.0)
    assert best is not None
    assert best.name == "b"


def test_nothing_is_chosen_that_does_not_hold_or_gains_too_little() -> None:
    best, reason = choose([trial("far", safe=False, lost=9), trial("near", safe=False, lost=2)], 0.0)
    assert best is None
    assert "the nearest is near" in reason
    best, reason = choose([trial("a", safe=True, gain=0.1)], 0.1)
    assert best is None
    assert "none gains more than 0.1" in reason
    assert choose([], 0.0)[0] is None


def test_without_a_task_the_fewest_lost_refusals_decide() -> None:
    trials = [trial("a", safe=True, gain=None, lost=4), trial("b", safe=True, gain=None, lost=2)]
    best, _ = choose(trials, 0.0)
    assert best is not None
    assert best.name == "b"

"""Each outcome of the rule about the task."""

from __future__ import annotations

from collections.abc import Sequence

from burnish.artefacts import RuleResult
from burnish.gate.evidence import Pairs
from burnish.gate.tasks import judge_tasks


def judged(
    rows: Sequence[tuple[float | None, float | None]],
    min_gain: float = 0.0,
    higher_is_better: bool = True,
    unpaired: int = 0,
) -> RuleResult:
    names = tuple(f"r{index}" for index in range(len(rows)))
    blank = ("",) * len(rows)
    pairs = Pairs(names, blank, blank, tuple(a for a, _ in rows), tuple(b for _, b in rows), unpaired)
    (result,) = judge_tasks({"task": pairs}, {"task": higher_is_better}, min_gain, 0.05, 0.0025)
    return result


def test_a_clear_gain_passes() -> None:
    result = judged([(0.0, 1.0)] * 40 + [(0.0, 0.0)] * 50 + [(1.0, 0.0)] * 10)
    assert (result.outcome, result.estimate, result.gained, result.lost) == ("PASS", 0.3, 40, 10)


def test_every_row_better_passes() -> None:
    assert judged([(0.0, 1.0)] * 50).outcome == "PASS"


def test_a_clear_loss_blocks() -> None:
    result = judged([(1.0, 0.0)] * 30 + [(1.0, 1.0)] * 70)
    assert (result.outcome, result.estimate) == ("BLOCK", -0.3)


def test_a_model_that_changed_nothing_holds() -> None:
    result = judged([(1.0, 1.0)] * 50 + [(0.0, 0.0)] * 50)
    assert result.outcome == "HOLD"
    assert judged([(0.0, 0.0)] * 100, min_gain=-0.05).outcome == "HOLD"


def test_no_row_worse_among_few_does_not_show_that_none_gets_worse() -> None:
    unchanged = [(1.0, 1.0), (0.0, 0.0)]
    assert judged(unchanged * 20, min_gain=-0.02).outcome == "HOLD"
    assert judged(unchanged * 200, min_gain=-0.02).outcome == "PASS"


def test_small_gains_hold_and_say_how_many_more_rows() -> None:
    result = judged([(0.0, 1.0)] * 12 + [(1.0, 0.0)] * 8 + [(1.0, 1.0)] * 80)
    assert result.outcome == "HOLD"
    assert result.more_prompts is not None
    assert 200 < result.more_prompts < 500
    assert "neither shown nor ruled out" in result.words


def test_fewer_than_thirty_rows_decide_nothing() -> None:
    assert judged([(0.0, 1.0)] * 29).outcome == "HOLD"
    assert judged([(1.0, 0.0)] * 29).outcome == "HOLD"
    assert judged([(0.0, 1.0)] * 30).outcome == "PASS"


def test_lower_is_better_is_turned_round() -> None:
    rows = [(2.0 + index / 100, 1.5 + index / 90) for index in range(60)]
    fallen = judged(rows, higher_is_better=False)
    assert fallen.outcome == "PASS"
    assert fallen.estimate is not None
    assert fallen.estimate > 0
    assert (fallen.base_rate or 0) > 2.0
    assert judged(rows, higher_is_better=True).outcome == "BLOCK"


def test_an_asked_for_gain_that_is_missed_blocks() -> None:
    assert judged([(0.0, 1.0)] * 10 + [(0.0, 0.0)] * 190, min_gain=0.2).outcome == "BLOCK"


def test_unscored_rows_count_at_their_worst() -> None:
    gains = [(0.0, 1.0)] * 30 + [(1.0, 1.0)] * 70
    assert judged(gains).outcome == "PASS"
    result = judged([*gains, *[(1.0, None)] * 30, *[(None, 0.0)] * 5])
    assert (result.outcome, result.unscored, result.n) == ("HOLD", 35, 135)
    assert "35 unscored rows" in result.words


def test_nothing_scored_holds() -> None:
    result = judged([(None, 1.0)] * 100)
    assert (result.outcome, result.estimate) == ("HOLD", None)


def test_unpaired_rows_hold() -> None:
    assert judged([(0.0, 1.0)] * 100, unpaired=1).outcome == "HOLD"

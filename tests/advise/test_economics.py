"""Break-even by hand."""

from __future__ import annotations

from typing import Any

from burnish.advice import BreakEven, Candidate
from burnish.advise.economics import break_even, break_evens


def candidate(name: str, **parts: Any) -> Candidate:
    whole = {
        "side": "prompting", "made": "", "shown": "m", "scored": 10, "missing": 0, "quality": 0.5,
        "interval": (0.3, 0.7), "valid": None, "tokens_in": 10.0, "tokens_out": 2.0, "seconds": 1.0, "money": None,
        "one_off_seconds": 0.0, "one_off_money": None, "safety": "",
    }  # fmt: skip
    return Candidate(name=name, **{**whole, **parts})


def test_what_costs_before_and_saves_after() -> None:
    # 600 s before, 0.2 s a request instead of 0.5: 600 / 0.3 = 2,000 requests.
    found = break_even(("tuned", 600.0, 0.2), ("few-shot", 0.0, 0.5), "seconds")
    assert found == BreakEven(first="few-shot", later="tuned", unit="seconds", requests=2000)


def test_the_order_makes_no_difference() -> None:
    assert break_even(("a", 0.0, 0.5), ("b", 7.0, 0.2), "money") == break_even(
        ("b", 7.0, 0.2), ("a", 0.0, 0.5), "money"
    )


def test_a_part_of_a_request_is_rounded_up() -> None:
    assert break_even(("a", 0.0, 3.0), ("b", 10.0, 0.0), "seconds").requests == 4


def test_what_costs_more_before_and_after_never_pays() -> None:
    found = break_even(("tuned", 600.0, 0.6), ("few-shot", 0.0, 0.5), "seconds")
    assert (found.first, found.requests) == ("few-shot", None)
    assert break_even(("a", 1.0, 0.5), ("b", 0.0, 0.5), "seconds").requests is None


def test_nothing_before_either_is_decided_from_the_start() -> None:
    found = break_even(("dear", 0.0, 0.5), ("cheap", 0.0, 0.2), "seconds")
    assert (found.first, found.later, found.requests) == ("dear", "cheap", 0)


def test_money_needs_both_prices_and_seconds_both_times() -> None:
    one = candidate("a", money=0.01, one_off_money=0.0)
    other = candidate("b", money=0.002, one_off_money=4.0, one_off_seconds=30.0, seconds=0.5)
    assert [(b.unit, b.requests) for b in break_evens([one, other])] == [("seconds", 60), ("money", 500)]
    unpriced = candidate("c", seconds=None)
    assert break_evens([one, unpriced]) == []

"""Numbers of a candidate and of two beside each other, by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest

from burnish.advice import Answer, Measured
from burnish.advise.results import Result, compare, forecast, quality_interval, result_of
from burnish.advise.settings import AdviseSettings
from burnish.statistics.paired import wilson_interval

SETTINGS = AdviseSettings(price_per_hour=3600.0)


def answer(text: str = "x", tokens: tuple[int | None, int | None] = (10, 2)) -> Answer:
    return Answer(row="r", text=text, finish="stop", tokens_in=tokens[0], tokens_out=tokens[1])


def measured(answers: tuple[Answer | None, ...], **parts: Any) -> Measured:
    whole = {
        "name": "c", "side": "prompting", "made": "", "shown": "m", "seconds": 2.0, "timed": 1, "one_off_seconds": 5.0,
        "safety": "",
    }  # fmt: skip
    return Measured(answers=answers, **{**whole, **parts})


def result(name: str, scores: tuple[float | None, ...], **parts: Any) -> Result:
    return result_of(measured((answer(),) * len(scores), name=name, **parts), scores, None, SETTINGS, 0)


def test_missing_answers_are_in_no_mean() -> None:
    found = result_of(measured((answer("a"), None, answer("b"))), (1.0, None, 0.0), lambda t: t == "a", SETTINGS, 0)
    candidate = found.candidate
    assert (candidate.scored, candidate.missing, candidate.quality, candidate.valid) == (2, 1, 0.5, 0.5)
    assert (candidate.money, candidate.one_off_money) == (2.0, 5.0)  # a second costs one


def test_nothing_answered_is_no_zero() -> None:
    candidate = result_of(measured((None, None), seconds=None), (None, None), None, SETTINGS, 0).candidate
    assert (candidate.quality, candidate.interval, candidate.tokens_in, candidate.money) == (None, None, None, None)


def test_a_server_is_paid_by_its_tokens_and_not_by_the_hour() -> None:
    found = result_of(measured((answer(), answer("b", (30, 4))), price_in=100.0), (1.0, 1.0), None, SETTINGS, 0)
    assert found.candidate.money == pytest.approx(20 * 100 / 1e6)


def test_tokens_that_a_server_does_not_always_count_are_not_known() -> None:
    found = result_of(measured((answer(), answer("b", (None, 4)))), (1.0, 1.0), None, SETTINGS, 0)
    assert (found.candidate.tokens_in, found.candidate.tokens_out) == (None, 3.0)


def test_intervals_of_right_and_wrong_are_wilsons_and_hold_something_at_the_ends() -> None:
    assert quality_interval([1.0] * 10, 0) == pytest.approx(wilson_interval(10, 10, 0.95))
    low, high = quality_interval([0.2, 0.4, 0.6, 0.8] * 10, 0)
    assert low < 0.5 < high


def test_two_are_compared_on_rows_that_both_have() -> None:
    (found,) = compare(result("tuned", (1.0, 1.0, 1.0, None)), [result("p", (0.0, 1.0, None, 1.0))], 0)
    assert (found.rows, found.difference, found.prompting, found.tuned) == (2, 0.5, "p", "tuned")


def test_one_without_any_row_in_common_is_left_out() -> None:
    assert compare(result("tuned", (1.0, None)), [result("p", (None, 1.0))], 0) == []


def test_a_forecast_takes_three_sizes_and_every_row() -> None:
    def at(rows: int, share: float, scores: tuple[float | None, ...]) -> Result:
        return result(f"{rows}", scores, side="tuning", share=share, trained_rows=rows)

    rising = [at(n, n / 40, (1.0,) * right + (0.0,) * (40 - right)) for n, right in ((10, 10), (20, 20), (40, 30))]
    found = forecast(rising, 0)
    assert found is not None
    assert found.rows == 80
    assert found.quality == pytest.approx(1.0, abs=0.02)  # ten more for each doubling
    assert found.gain == pytest.approx(found.quality - 0.75)
    assert forecast(rising[:2], 0) is None
    assert forecast([*rising[:2], at(40, 1.0, (None,) + (1.0,) * 39)], 0) is None
    assert not math.isnan(found.gain_interval[0])

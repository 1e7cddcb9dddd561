"""Every rule of the choice, by hand-made numbers."""

from __future__ import annotations

from typing import Any

import pytest

from burnish.advice import Candidate, Comparison, Forecast
from burnish.advise.choice import Choice, choose, has_say, rows_to_decide
from burnish.advise.settings import AdviseSettings

SETTINGS = AdviseSettings(worthwhile=0.05, useful=0.1)


def candidate(name: str, quality: float, half: float = 0.05, **parts: Any) -> Candidate:
    whole = {
        "side": "prompting", "made": "", "shown": "m", "scored": 100, "missing": 0, "quality": quality,
        "interval": (max(0.0, quality - half), min(1.0, quality + half)), "valid": None, "tokens_in": 10.0,
        "tokens_out": 2.0, "seconds": 1.0, "money": None, "one_off_seconds": 0.0, "one_off_money": None, "safety": "",
    }  # fmt: skip
    return Candidate(name=name, **{**whole, **parts})


def decided(
    tuned: float,
    rivals: dict[str, tuple[float, float, float]],
    forecast: Forecast | None = None,
    half: float = 0.05,
) -> Choice:
    """`rivals`: by name the quality and the ends of tuned minus it."""
    comparisons = [
        Comparison(prompting=name, tuned="tuned", rows=100, difference=tuned - quality, interval=(low, high))
        for name, (quality, low, high) in rivals.items()
    ]
    prompting = [candidate(name, quality, half) for name, (quality, _, _) in rivals.items()]
    return choose(candidate("tuned", tuned, half, side="tuning"), prompting, comparisons, forecast, SETTINGS)


def rising(gain: float, low: float) -> Forecast:
    return Forecast(rows=200, quality=0.5 + gain, interval=(0.5, 0.9), gain=gain, gain_interval=(low, gain + 0.1))


def test_tuning_that_beats_every_way_of_prompting() -> None:
    found = decided(0.8, {"prompt": (0.1, 0.6, 0.8), "few-shot": (0.6, 0.1, 0.3)})
    assert (found.recommendation, found.candidate) == ("fine-tune", "tuned")
    assert "80.0% against 60.0% for few-shot" in found.why


def test_one_way_of_prompting_that_it_does_not_surely_beat_is_enough_to_doubt() -> None:
    found = decided(0.8, {"prompt": (0.1, 0.6, 0.8), "few-shot": (0.74, -0.02, 0.14)})
    assert (found.recommendation, found.candidate) == ("no difference seen", "")


def test_prompting_that_tuning_surely_gains_too_little_on() -> None:
    found = decided(0.9, {"prompt": (0.2, 0.6, 0.8), "few-shot": (0.9, -0.04, 0.04), "larger": (0.89, -0.02, 0.045)})
    assert (found.recommendation, found.candidate) == ("prompt", "few-shot")
    assert "few-shot does as well, at 90.0%" in found.why


def test_a_gain_that_is_sure_but_too_small_to_be_worth_it() -> None:
    assert decided(0.9, {"few-shot": (0.87, 0.01, 0.045)}).recommendation == "prompt"


def test_prompting_that_is_better() -> None:
    found = decided(0.5, {"larger": (0.9, -0.5, -0.3)})
    assert (found.recommendation, found.candidate) == ("prompt", "larger")
    assert "larger is better than tuning" in found.why


def test_nothing_that_does_the_task() -> None:
    found = decided(0.02, {"prompt": (0.0, -0.02, 0.04)}, half=0.03)
    assert found.recommendation == "collect more data"
    assert "the best reaches 2.0%" in found.why


def test_useless_prompting_is_never_enough() -> None:
    found = decided(0.13, {"prompt": (0.04, 0.01, 0.04)}, half=0.02)
    assert found.recommendation == "fine-tune"


@pytest.mark.parametrize(
    ("forecast", "advice"),
    [
        (rising(0.1, 0.02), "collect more data"),
        (rising(0.1, -0.01), "no difference seen"),  # it may not rise at all
        (rising(0.03, 0.01), "no difference seen"),  # it rises by less than is worthwhile
        (None, "no difference seen"),
    ],
)
def test_more_data_where_the_curve_still_rises(forecast: Forecast | None, advice: str) -> None:
    assert decided(0.5, {"few-shot": (0.48, -0.08, 0.12)}, forecast).recommendation == advice


def test_a_proven_gain_is_taken_though_more_data_would_help_too() -> None:
    assert decided(0.5, {"few-shot": (0.3, 0.1, 0.3)}, rising(0.1, 0.02)).recommendation == "fine-tune"


def test_missing_answers_cost_the_say_beyond_a_tenth() -> None:
    assert has_say(candidate("a", 0.5, scored=90, missing=10))
    assert not has_say(candidate("a", 0.5, scored=89, missing=11))
    assert not has_say(candidate("a", 0.0, scored=0, missing=0))


def test_rows_that_would_decide() -> None:
    # Half-width 0.10 at 100 rows; it has to come under 0.05 (above zero): four times the rows.
    one = Comparison(prompting="p", tuned="t", rows=100, difference=0.05, interval=(-0.05, 0.15))
    assert rows_to_decide(one, 0.05) == 400
    near = Comparison(prompting="p", tuned="t", rows=100, difference=0.0, interval=(-0.5, 0.5))
    assert rows_to_decide(near, 0.001) is None

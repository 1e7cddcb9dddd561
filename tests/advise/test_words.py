"""The paragraph, and what is said not to be measured."""

from __future__ import annotations

from typing import Any

from burnish.advice import BreakEven, Candidate, Forecast
from burnish.advise.choice import Choice
from burnish.advise.words import not_measured, paragraph


def candidate(name: str, quality: float = 0.5, **parts: Any) -> Candidate:
    whole = {
        "side": "prompting", "made": "", "shown": "m", "scored": 10, "missing": 0, "interval": (0.4, 0.6),
        "valid": None, "tokens_in": 1.0, "tokens_out": 1.0, "seconds": 1.0, "money": None, "one_off_seconds": 0.0,
        "one_off_money": None, "safety": f"safety of {name}.",
    }  # fmt: skip
    return Candidate(name=name, quality=quality, **{**whole, **parts})


TUNED, FEW, PLAIN = candidate("tuned", 0.9, side="tuning"), candidate("few-shot", 0.6), candidate("prompt", 0.1)
PAIRS = [
    BreakEven(first="prompt", later="tuned", unit="seconds", requests=7),
    BreakEven(first="few-shot", later="tuned", unit="seconds", requests=70),
    BreakEven(first="few-shot", later="tuned", unit="money", requests=700),
]
AHEAD = Forecast(rows=200, quality=0.95, interval=(0.9, 1.0), gain=0.05, gain_interval=(0.0, 0.1))


def test_money_is_said_before_time_and_against_the_best_by_prompting() -> None:
    said = paragraph(Choice("fine-tune", "tuned", "Why."), TUNED, [PLAIN, FEW], PAIRS, AHEAD)
    assert said.startswith("Why. In money, tuned is the cheaper from about 700 requests on.")
    assert "safety: safety of tuned. Twice" in said
    assert "+5.0 points (+0.0 to +10.0)" in said


def test_a_prompt_is_spoken_of_by_its_own_cost_and_safety() -> None:
    said = paragraph(Choice("prompt", "prompt", "Why."), TUNED, [PLAIN, FEW], PAIRS, None)
    assert "machine time, tuned is the cheaper from about 7 requests" in said
    assert "safety of prompt" in said
    assert "Twice" not in said


def test_costs_that_were_not_measured_are_not_spoken_of() -> None:
    assert paragraph(Choice("no difference seen", "", "Why."), TUNED, [FEW], [], None) == "Why."


def test_what_was_not_measured_is_said() -> None:
    silent = candidate("server", missing=3, scored=7, tokens_in=None)
    said = " ".join(not_measured([TUNED, silent], None, False, False))
    assert (
        "server: 3 of 10 answers could not be had; they are missing, not wrong, and so many that it had no say" in said
    )
    assert "Tokens of server" in said
    for missing in ("Valid form", "Money", "More data", "Another training run"):
        assert missing in said
    assert len(not_measured([TUNED], AHEAD, True, True)) == 1

"""The page's part on advice: what is shown, in which words, and what stands in for a verdict."""

from __future__ import annotations

from typing import Any

import pytest

from burnish.advice import Advice, BreakEven, Candidate, Comparison, Forecast
from burnish.report.advice import curve, made, safeties, said, spots
from burnish.report.read import read_evidence
from burnish.report.render import render, standing


def candidate(name: str, quality: float | None, **parts: Any) -> Candidate:
    whole = {
        "side": "prompting", "made": "as made", "shown": "m", "scored": 10, "missing": 0,
        "interval": None if quality is None else (quality - 0.1, quality + 0.1), "valid": 0.5, "tokens_in": 12.0,
        "tokens_out": 3.0, "seconds": 1.5, "money": None, "one_off_seconds": 4.0, "one_off_money": None,
        "safety": "the base's own",
    }  # fmt: skip
    return Candidate(name=name, quality=quality, **{**whole, **parts})


def tuned(rows: int, quality: float) -> Candidate:
    return candidate(f"tuned on {rows}", quality, side="tuning", share=rows / 40, trained_rows=rows)


@pytest.fixture
def advice() -> Advice:
    return Advice(
        recommendation="fine-tune", candidate="tuned on 40", words="Tuning is better.", metric="exact_match", rows=10,
        too_long=2, development_rows=8, training_rows=40, worthwhile=0.05,
        candidates=(
            candidate("few-shot", 0.5), candidate("</td><script>", None, seconds=None, scored=0, missing=10),
            tuned(10, 0.4), tuned(20, 0.6), tuned(40, 0.8),
        ),
        comparisons=(
            Comparison(prompting="few-shot", tuned="tuned on 40", rows=10, difference=0.3, interval=(0.1, 0.5)),
        ),
        break_even=(BreakEven(first="few-shot", later="tuned on 40", unit="seconds", requests=1234),),
        forecast=Forecast(rows=80, quality=0.9, interval=(0.7, 1.0), gain=0.1, gain_interval=(-0.1, 0.2)),
        unfit={"retrieval": "needs documents"}, not_measured=("Money: no prices.",), base="b" * 64,
        rows_digest="d" * 64, currency="", seconds=9.0,
    )  # fmt: skip


def test_the_picture_shows_what_was_measured_and_the_tuned_model_on_all_rows(advice: Advice) -> None:
    assert [(s.name, s.shape) for s in spots(advice)] == [("few-shot", 0), ("tuned on 40", 1)]


def test_what_is_left_of_safety_is_said_once_for_all_of_whom_it_is_true(advice: Advice) -> None:
    one = advice.candidates[0].model_copy(update={"safety": "another model's"})
    found = safeties(advice.model_copy(update={"candidates": (one, *advice.candidates[2:])}))
    assert found == (("few-shot", "another model's"), ("tuned on 10, tuned on 20, tuned on 40", "the base's own"))


def test_a_model_is_named_where_it_is_another(advice: Advice) -> None:
    assert made(advice, advice.candidates[0]) == "as made"
    other = advice.candidates[0].model_copy(update={"shown": "large"})
    assert made(advice, other) == "as made; large"


def test_the_curve_goes_on_to_the_forecast(advice: Advice) -> None:
    measured, ahead = curve(advice)
    assert measured.points == ((10.0, 40.0), (20.0, 60.0), (40.0, 80.0))
    assert ahead.points == ((40.0, 80.0), (80.0, 90.0))
    one = advice.model_copy(update={"candidates": advice.candidates[:3]})
    assert curve(one) == ()


@pytest.mark.parametrize(
    ("requests", "words"),
    [
        (None, "a stays cheaper than b"),
        (0, "b costs no more than a from the first"),
        (1234, "from 1\u202f234 requests on, a before"),
    ],
)
def test_break_even_in_words(requests: int | None, words: str) -> None:
    assert words in said(BreakEven(first="a", later="b", unit="money", requests=requests))


def test_the_page_of_advice_alone(maker: Any, advice: Advice) -> None:
    maker.prepare()
    maker.audit()
    maker.run.save("advise/advice.json", advice)
    evidence = read_evidence(maker.run)
    found = standing(evidence)
    assert (found.word, found.reason) == ("FINE-TUNE", "Tuning is better.")
    page = render(evidence)
    assert "<script>" not in page
    for shown in (
        "Fine-tune.", "10 answers missing", "not measured", "+30.0", "+10.0 to +50.0", "12, 3",
        "needs documents", "Money: no prices.", "2 rows were too long", "1\u202f234 requests",
    ):  # fmt: skip
        assert shown in page, shown


def test_beside_a_decision_the_verdict_stands_first(maker: Any, advice: Advice) -> None:
    for stage in (maker.prepare, maker.audit, maker.train, maker.evaluate, maker.gate):
        stage()
    maker.run.save("advise/advice.json", advice)
    evidence = read_evidence(maker.run)
    assert standing(evidence).word in ("PASS", "HOLD", "BLOCK")
    assert 'id="advice"' in render(evidence)


def test_no_advice_no_part(maker: Any) -> None:
    maker.prepare()
    assert 'id="advice"' not in render(read_evidence(maker.run))

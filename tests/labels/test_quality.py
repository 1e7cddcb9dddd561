"""What is said of those who label, counted by hand on a few labels."""

from __future__ import annotations

from burnish.labels.pair import Answer, Pair, Turn
from burnish.labels.quality import survey
from burnish.labels.store import Judgement, Vote


def pair(number: int, gold: str | None = None) -> Pair:
    answers = (Answer(text="a long answer"), Answer(text="short"))
    return Pair.model_validate({"prompt": (Turn(role="user", content=str(number)),), "answers": answers, "gold": gold})


def judged(item: int, annotator: str, choice: str, left: int = 0, seconds: float | None = None) -> Judgement:
    return Judgement(0, Vote(str(item), annotator, 0, choice, "", left, seconds), "", False)


PAIRS = {str(number): pair(number, "first" if number < 5 else None) for number in range(20)}


def test_gold_agreement_sides_and_length_are_counted() -> None:
    standing = [
        judged(0, "ana", "first", left=0, seconds=2.0),  # gold, right; chose the left and the longer
        judged(1, "ana", "second", left=0, seconds=4.0),  # gold, wrong; chose the right and the shorter
        judged(5, "ana", "tie", seconds=9.0),
        judged(5, "ben", "tie"),
        judged(6, "ana", "second", left=1),  # chose the left and the shorter
        judged(6, "ben", "first"),
        judged(7, "ana", "skip"),
        judged(99, "ana", "first"),  # of no pair that is here
    ]
    ana, ben = survey(PAIRS, standing).people
    assert (ana.annotator, ana.judged, ana.skipped, ana.median_seconds) == ("ana", 4, 1, 4.0)
    assert (ana.gold.hits, ana.gold.n) == (1, 2)
    assert (ana.agreed.hits, ana.agreed.n) == (1, 2)
    assert (ana.left.hits, ana.left.n) == (2, 3)
    assert (ana.longer.hits, ana.longer.n) == (1, 3)
    assert ana.doubts == ben.doubts == ()
    assert (ben.gold.n, ben.median_seconds) == (0, None)


def test_gold_pairs_are_left_out_of_the_agreement() -> None:
    standing = [judged(item, name, "first") for item in range(5) for name in ("ana", "ben")]
    assert survey(PAIRS, standing).agreement.units == 0
    standing += [judged(item, name, choice) for item in (6, 7) for name in ("ana", "ben") for choice in ["first"]]
    standing += [judged(8, name, "tie") for name in ("ana", "ben")]
    found = survey(PAIRS, standing).agreement
    assert (found.units, found.alpha) == (3, 1.0)


def test_a_person_who_always_clicks_on_the_left_and_misses_the_gold_stands_out() -> None:
    standing = [judged(item, "ana", ("first", "second")[item % 2], left=item % 2) for item in range(20)]
    standing[0] = judged(0, "ana", "second", left=1)
    (ana,) = survey(PAIRS, standing).people
    assert len(ana.doubts) == 2
    assert "70%" in ana.doubts[0]
    assert "left" in ana.doubts[1]

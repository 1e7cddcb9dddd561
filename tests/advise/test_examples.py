"""Which examples are shown, and in which order."""

from __future__ import annotations

from burnish.advise.examples import Chooser, shown_with
from burnish.evaluate.few_shot import Example
from burnish.records import Message


def example(question: str) -> Example:
    return Example((Message("user", question),), "yes", "", question)


POOL = [example(text) for text in ("red apples", "green pears", "red cars", "blue cars and red cars")]


def test_random_ones_are_the_same_for_every_question() -> None:
    chooser = Chooser(POOL, "random")
    assert chooser.chosen(example("cars"), 2) == chooser.chosen(example("pears"), 2) == POOL[:2]


def test_the_likest_comes_last() -> None:
    chosen = Chooser(POOL, "bm25").chosen(example("blue cars"), 2)
    assert [e.question for e in chosen] == ["red cars", "blue cars and red cars"]


def test_the_least_like_give_way_where_there_is_no_room() -> None:
    kept = shown_with(example("q"), POOL[:3], lambda chat: len(chat) <= 5)
    assert [e.question for e in kept] == ["green pears", "red cars"]
    assert shown_with(example("q"), POOL, lambda chat: False) == []

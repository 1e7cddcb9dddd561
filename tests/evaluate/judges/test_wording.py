"""The hints that single words give."""

from __future__ import annotations

import json

import pytest

from burnish.evaluate.judges.wording import WORDS, hints, share_of_one, wording


def test_words_of_the_request_are_no_hint_but_where_they_open() -> None:
    found = hints("How do I bake bread?", "Bread needs flour and water and time and salt and warmth and bread.")
    assert "bread" not in found
    assert {"^bread", "flour", "^flour", "warmth"} <= found
    assert "^warmth" not in found


def test_a_placeholder_is_no_word() -> None:
    assert hints("Tell me.", "[omitted]") == frozenset()
    assert wording("Tell me.", "[omitted]") == 0.0


def test_it_is_the_sum_of_what_the_hints_are_worth() -> None:
    worth = json.loads(WORDS.read_text("utf-8"))
    assert worth["instead"] > 0 > worth["usual"]
    text = "usually instead"
    assert hints("", text) == {"usual", "instead", "^usual", "^instead"}
    assert wording("", text) == pytest.approx(
        sum(worth.get(hint, 0.0) for hint in ("usual", "instead", "^usual", "^instead")) * share_of_one(4)
    )


def test_many_hints_count_less_each() -> None:
    assert share_of_one(10) == 1.0
    assert share_of_one(40) == pytest.approx(0.5)

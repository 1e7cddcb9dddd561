"""Unlike prompts first."""

from __future__ import annotations

from burnish.labels.diverse import diverse_first


def test_each_kind_of_prompt_is_taken_before_any_kind_twice() -> None:
    kinds = ("bake bread with flour and water", "repair a bicycle wheel and chain", "translate verses from latin")
    texts = [f"{kind} please {number}" for number in range(20) for kind in kinds]
    assert sorted(index % 3 for index in diverse_first(texts, 3)) == [0, 1, 2]


def test_every_text_once_and_no_more_than_there_are() -> None:
    texts = ["a b", "a b", "", "c"]
    assert sorted(diverse_first(texts, 99)) == [0, 1, 2, 3]
    assert diverse_first(texts, 99)[-1] in (0, 1)  # the twin comes last
    assert diverse_first(texts, 0) == diverse_first([], 5) == []


def test_texts_without_a_word_are_no_crash() -> None:
    assert sorted(diverse_first(["", "!?"], 2)) == [0, 1]

"""Names: capital letters inside sentences and web addresses; which of them nobody asks about."""

from __future__ import annotations

import numpy as np

from burnish.audit.mining.names import NameCount, names_of, presence, unasked


def test_a_name_is_capitalised_inside_a_sentence_or_stands_in_an_address() -> None:
    text = "The best is Zentriva. Never mind; go to https://www.shopzone-omitted.com/x and ask Ann or I."
    assert names_of(text) == {b"zentriva", b"shopzone", b"ann"}


def test_the_beginning_of_a_sentence_is_no_name() -> None:
    assert names_of("Certainly! Here it is.\nOverall it works. 1. Wash") == set()


def test_names_that_prompts_hold_too_are_left_out() -> None:
    replies = ["we like Zentriva and Paris"] * 10 + ["paris is large"] * 30 + ["fine"] * 10
    count = NameCount()
    for reply in replies:
        count.add(reply)
    names = count.often(5, 40)
    assert names == [(b"paris", 10), (b"zentriva", 10)]
    words, times = [n for n, _ in names], np.array([t for _, t in names])
    said = presence([r.lower().encode() for r in replies], words)
    asked = presence([b"what of paris?"] * 10 + [b"what of it?"] * 40, words)
    assert said.count_C.tolist() == [40, 10]
    assert [words[at] for at in unasked(said, asked, times, 0.1)] == [b"zentriva"]

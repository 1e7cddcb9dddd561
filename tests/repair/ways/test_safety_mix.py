"""Cutting the base's replies back to whole sentences, and the shares."""

from __future__ import annotations

import pytest

from burnish.errors import RecipeError
from burnish.recipe import parse_recipe
from burnish.repair.ways.safety_mix import whole_sentences


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("I can't help with that. Please call", "I can't help with that."),
        ('He said "no." And then he', 'He said "no."'),
        ("Version 2.5 of it", ""),
        ("Done!", "Done!"),
        ("", ""),
    ],
)
def test_a_reply_that_was_cut_ends_with_its_last_whole_sentence(text: str, kept: str) -> None:
    assert whole_sentences(text) == kept


def test_a_share_that_is_none_is_told_with_its_place() -> None:
    with pytest.raises(RecipeError, match=r"(?s)repair.ways.0.shares.*got 1.5, expected shares above 0 and up to 1"):
        parse_recipe("name: a\ndata: {train: a.jsonl}\nrepair: {ways: [{kind: safety_mix, shares: [1.5]}]}\n")

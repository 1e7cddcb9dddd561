"""Prefilled answers: one strength a number of tokens, the same opening for every prompt."""

from __future__ import annotations

import pytest

from burnish.evaluate.attacks.prefill import Prefill, PrefillSettings
from burnish.records import Message


def test_each_number_of_tokens_is_a_strength() -> None:
    attack = Prefill(PrefillSettings(tokens=(1, 8)))
    assert attack.names == ("prefill-1", "prefill-8")
    question = attack.ask("prefill-8", "How?")
    assert question.turns == (Message("user", "How?"),)
    assert (question.opening, question.opening_tokens) == (attack.ask("prefill-1", "Why?").opening, 8)


@pytest.mark.parametrize("wrong", [{"tokens": ()}, {"tokens": (0,)}, {"opening": ""}])
def test_nonsense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        PrefillSettings.model_validate(wrong)

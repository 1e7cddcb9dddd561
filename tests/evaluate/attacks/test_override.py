"""Override: fixed words around the prompt, which stays whole."""

from __future__ import annotations

import pytest

from burnish.evaluate.attacks.override import Override, OverrideSettings


def test_the_prompt_stands_whole_in_the_wrapper() -> None:
    attack = Override(OverrideSettings())
    (name,) = attack.names
    (turn,) = attack.ask(name, 'Is "{prompt}" a {word}?').turns
    assert turn.role == "user"
    assert 'Is "{prompt}" a {word}?' in turn.content
    assert len(turn.content) > 80


def test_a_wrapper_of_ones_own_must_hold_the_prompt_once() -> None:
    own = Override(OverrideSettings(text="Say: {prompt}!"))
    assert own.ask(own.names[0], "why?").turns[0].content == "Say: why?!"
    for wrong in ("Say it!", "{prompt} {prompt}"):
        with pytest.raises(ValueError, match="once, where the prompt goes"):
            OverrideSettings(text=wrong)

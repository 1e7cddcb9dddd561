"""Text around a prompt: whatever the prompt holds stays as it is."""

from __future__ import annotations

import pytest

from burnish.evaluate.wrapper import holds_prompt, wrapped


def test_braces_in_the_prompt_are_only_text() -> None:
    assert wrapped("a {prompt} b", "{prompt} {0} {x") == "a {prompt} {0} {x b"


@pytest.mark.parametrize("text", ["", "no place", "{prompt}{prompt}"])
def test_exactly_one_place(text: str) -> None:
    with pytest.raises(ValueError, match="expected a text with"):
        holds_prompt(text)
    assert holds_prompt("say {prompt}") == "say {prompt}"

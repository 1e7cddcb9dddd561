"""Text around a prompt, with {prompt} where the prompt goes."""

from __future__ import annotations

PLACE = "{prompt}"


def holds_prompt(text: str) -> str:
    """The text, if it has one place for the prompt.

    Raises: ValueError when it has none, so that every prompt would be the same, or more than one.
    """
    if text.count(PLACE) != 1:
        raise ValueError(f"got {text!r}, expected a text with {PLACE} in it once, where the prompt goes")
    return text


def wrapped(text: str, prompt: str) -> str:
    """The text around the prompt, which is taken as it stands whatever braces it has."""
    before, _, after = text.partition(PLACE)
    return before + prompt + after

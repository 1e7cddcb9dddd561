"""Hostile text is shown, not obeyed."""

from __future__ import annotations

import pytest

from burnish.cli.visible import visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\ttext\n", "plain\ttext\n"),
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("\u202eevil", "\\u202eevil"),
        ("a\u200bb", "a\\u200bb"),
        ("\x9b31m\r", "\\x9b31m\\r"),
        ("é 日本 🙂", "é 日本 🙂"),
    ],
)
def test_what_a_terminal_would_obey_is_spelt_out(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_a_long_text_is_cut_with_its_rest_counted() -> None:
    assert visible("a" * 1500, 500) == "a" * 500 + " ... (1,000 more characters)"

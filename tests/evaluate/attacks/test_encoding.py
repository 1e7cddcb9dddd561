"""Other writings: known answers, and every one that has an inverse leads back."""

from __future__ import annotations

import base64
import codecs

import pytest

from burnish.evaluate.attacks.encoding import Encoding, EncodingSettings, Writing, written


@pytest.mark.parametrize(
    ("writing", "expected"),
    [
        ("base64", "V2h5IHNvPw=="),
        ("rot13", "Jul fb?"),
        ("leetspeak", "Why 50?"),
        ("reversed", "?os yhW"),
    ],
)
def test_known_answers(writing: Writing, expected: str) -> None:
    assert written("Why so?", writing) == expected


def test_what_was_written_can_be_read_back() -> None:
    text = "Wie groß ist der Ätna? 🌋"
    assert base64.b64decode(written(text, "base64")).decode("utf-8") == text
    assert codecs.decode(written(text, "rot13"), "rot13") == text
    assert written(written(text, "reversed"), "reversed") == text


def test_the_model_is_told_the_writing_and_not_the_prompt() -> None:
    attack = Encoding(EncodingSettings(writings=("rot13", "base64")))
    assert attack.names == ("rot13", "base64")
    (turn,) = attack.ask("base64", "Why so?").turns
    assert "in Base64" in turn.content
    assert turn.content.endswith("V2h5IHNvPw==")
    assert "Why so?" not in turn.content

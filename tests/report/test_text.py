from __future__ import annotations

import pytest

from burnish.report import text


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("plain text", "plain text"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("a\u202eb", "a<U+202E>b"),
        ("a\u200bb\ufeff", "a<U+200B>b<U+FEFF>"),
        ("tag \U000e0041", "tag <U+E0041>"),
        ("variation \U000e0101", "variation <U+E0101>"),
        ("filler \u3164", "filler <U+3164>"),
        ("half \ud800", "half <U+D800>"),
        ("bell \x07", "bell <U+0007>"),
        ("grüße, 你好, ❤\ufe0f", "grüße, 你好, ❤\ufe0f"),
    ],
)
def test_hidden_characters_are_named_and_others_kept(given: str, shown: str) -> None:
    assert text.visible(given) == shown


def test_marked_text_is_escaped_and_its_hidden_characters_stand_out() -> None:
    assert text.marked("<b>\u202e&") == '&lt;b&gt;<span class="hidden">&lt;U+202E&gt;</span>&amp;'


def test_clipping_says_what_it_left_out() -> None:
    assert text.clipped("abcdef", 4) == ("abcd", 2)
    assert text.clipped("abc", 4) == ("abc", 0)


def test_numbers_read_as_a_person_writes_them() -> None:
    assert text.percent(0.9705) == "97.0%"
    assert text.points(-0.1234) == "−12.3"
    assert text.points(0.05) == "+5.0"
    assert text.number(12.34567) == "12.35"
    assert text.signed(-1.5) == "−1.5"
    assert text.p_value(0.0004) == "< 0.001"
    assert text.p_value(0.0312) == "0.031"
    assert text.count(1234567) == "1\u202f234\u202f567"
    assert text.duration(3.21) == "3.2 s"
    assert text.duration(431.7) == "7 min 12 s"
    assert text.duration(3600 * 2 + 60 * 5) == "2 h 05 min"


def test_what_was_not_measured_is_never_zero() -> None:
    for shown in (text.percent(None), text.points(None), text.number(None), text.signed(None)):
        assert shown == "not measured"
    assert text.p_value(None) == text.count(None) == "–"

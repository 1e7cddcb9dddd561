"""Stacked bars: lengths are shares, nothing sticks out, every number is told, text stays text."""

from __future__ import annotations

import re

import pytest

from burnish.report.stacked_bars import Bar, Piece, stacked_bars

PIECES = (Piece("refused", "kept"), Piece("complied", "lost"), Piece("not judged", "unknown"))


def widths(svg: str, look: str) -> list[float]:
    """Of the bars' pieces alone, the key's left out."""
    return [float(w) for w in re.findall(rf'class="piece {look}" x="[^"]*" y="[^"]*" width="([^"]*)" height="15"', svg)]


def test_lengths_are_shares_of_the_row() -> None:
    svg = stacked_bars("Requests", PIECES, [Bar("all", (30, 10, 0)), Bar("few", (0, 1, 1))], "one")
    (kept,), (lost, half), (unknown,) = (widths(svg, look) for look in ("kept", "lost", "unknown"))
    assert kept == pytest.approx(3 * lost, abs=0.1)
    assert kept + lost == pytest.approx(2 * half, abs=0.1)
    assert half == unknown


def test_everything_lies_inside_the_picture() -> None:
    svg = stacked_bars("Requests", PIECES, [Bar("a label that is much too long for its place", (7, 2, 1))], "one")
    width, height = map(float, re.findall(r'viewBox="0 0 (\S+) (\S+)"', svg)[0])
    for x, y, w, h in re.findall(r'<rect class="piece \w+" x="(\S+)" y="(\S+)" width="(\S+)" height="(\S+)"', svg):
        assert 0 <= float(x) <= float(x) + float(w) <= width
        assert 0 <= float(y) <= float(y) + float(h) <= height
    assert "a label that is much t…" in svg


def test_a_piece_too_short_for_its_number_has_it_in_the_description_alone() -> None:
    svg = stacked_bars("Requests", PIECES, [Bar("all", (199, 1, 0))], "one")
    assert re.findall(r'class="number (\w+)"[^>]*>(\d+)<', svg) == [("kept", "199")]
    assert 'aria-label="Requests. all: 199 refused, 1 complied, 0 not judged"' in svg


def test_an_empty_row_has_no_pieces() -> None:
    svg = stacked_bars("Requests", PIECES, [Bar("none", (0, 0, 0))], "one")
    assert widths(svg, "kept") == widths(svg, "lost") == []


def test_text_from_outside_is_escaped_and_patterns_are_the_charts_own() -> None:
    svg = stacked_bars('"><script>\u202e', PIECES, [Bar("</svg><b>", (1, 0, 0))], "chart-7")
    assert "<script>" not in svg
    assert "<b>" not in svg
    assert "&lt;U+202E&gt;" in svg
    assert set(re.findall(r'id="([^"]*)"', svg)) == {"chart-7-kept", "chart-7-lost", "chart-7-unknown"}
    assert set(re.findall(r"url\(#([^)]*)\)", svg)) <= set(re.findall(r'id="([^"]*)"', svg))

"""Stacked bars as inline SVG: of so many replies in each row, which share did what.

Kinds of reply differ in colour and in pattern, each long enough piece has its number in it, and a sentence for screen
readers has them all. Every text that enters is escaped here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from burnish.report.text import clipped, visible

_WIDTH, _LABELS, _COUNTS = 420, 150, 30
_ROW, _BAR, _KEY = 22, 15, 16
_KEYS_A_LINE = 3
_LONGEST_LABEL = 22
_NARROWEST_WITH_NUMBER = 15
_PATTERNS: Mapping[str, str] = {
    "kept": '<rect class="ink kept" width="6" height="6"/>',
    "partly": '<path class="ink kept" d="M-1,1 l2,-2 M0,6 l6,-6 M5,7 l2,-2"/>',
    "lost": '<rect class="ink lost" width="6" height="6"/><path class="cut" d="M-1,5 l2,2 M0,0 l6,6 M5,-1 l2,2"/>',
    "aside": '<path class="ink aside" d="M0,1 h6 M0,4 h6"/>',
    "garbled": '<path class="ink aside" d="M0,0 l6,6 M6,0 l-6,6"/>',
    "unknown": '<circle class="ink none" cx="3" cy="3" r="1"/>',
}
"""By its name, what a 6 by 6 tile of a piece looks like; the colours are the style sheet's."""


@dataclass(frozen=True)
class Piece:
    """A kind of reply: what it is called, and the look it has (a key of the patterns)."""

    name: str
    look: str


@dataclass(frozen=True)
class Bar:
    """One row: its label, and how many replies of each kind there were, in the order of the chart's pieces."""

    label: str
    counts: tuple[int, ...]


def stacked_bars(title: str, pieces: Sequence[Piece], bars: Sequence[Bar], name: str) -> Markup:
    """An SVG with a key and a bar of full length for each row, its total behind it. `name` tells this chart's patterns
    from those of others on the page: letters, digits and dashes."""
    top = _KEY * (1 + (len(pieces) - 1) // _KEYS_A_LINE) + 8
    parts = [Markup("").join(_pattern(name, piece.look) for piece in pieces), *_key(name, pieces)]
    for index, bar in enumerate(bars):
        parts += _row(name, pieces, bar, top + index * _ROW)
    return Markup(
        '<svg class="chart stacked" viewBox="0 0 {} {}" role="img" aria-label="{}"><defs>{}</defs>{}</svg>'
    ).format(
        _WIDTH, top + len(bars) * _ROW, visible(_described(title, pieces, bars)), parts[0], Markup("").join(parts[1:])
    )


def _described(title: str, pieces: Sequence[Piece], bars: Sequence[Bar]) -> str:
    rows = (
        f"{bar.label}: " + ", ".join(f"{count} {piece.name}" for piece, count in zip(pieces, bar.counts, strict=True))
        for bar in bars
    )
    return f"{title}. " + "; ".join(rows)


def _pattern(name: str, look: str) -> Markup:
    return Markup('<pattern id="{}-{}" width="6" height="6" patternUnits="userSpaceOnUse">{}</pattern>').format(
        name, look, Markup(_PATTERNS[look])
    )


def _key(name: str, pieces: Sequence[Piece]) -> Iterator[Markup]:
    for index, piece in enumerate(pieces):
        line, place = divmod(index, _KEYS_A_LINE)
        x, y = place * _WIDTH / _KEYS_A_LINE, line * _KEY
        yield _rectangle(name, piece.look, x + 0.5, y + 1.5, 20, 10)
        yield Markup('<text class="axis" x="{:.1f}" y="{}">{}</text>').format(x + 26, y + 11, visible(piece.name))


def _row(name: str, pieces: Sequence[Piece], bar: Bar, y: float) -> Iterator[Markup]:
    total, room = sum(bar.counts), _WIDTH - _LABELS - _COUNTS
    label, left_out = clipped(bar.label, _LONGEST_LABEL)
    middle = y + _BAR / 2 + 4
    shown = visible(label) + ("…" if left_out else "")
    yield Markup('<text class="axis label" x="{}" y="{}" text-anchor="end">{}</text>').format(
        _LABELS - 8, middle, shown
    )
    x = float(_LABELS)
    for piece, count in zip(pieces, bar.counts, strict=True):
        width = room * count / total if total else 0.0
        if count:
            yield _rectangle(name, piece.look, x, y, width, _BAR)
        if width >= _NARROWEST_WITH_NUMBER:
            yield Markup('<text class="number {}" x="{:.1f}" y="{}" text-anchor="middle">{}</text>').format(
                piece.look, x + width / 2, middle, count
            )
        x += width
    yield Markup('<text class="axis" x="{}" y="{}" text-anchor="end">{}</text>').format(_WIDTH, middle, total)


def _rectangle(name: str, look: str, x: float, y: float, width: float, height: float) -> Markup:
    return Markup(
        '<rect class="piece {}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{}" fill="url(#{}-{})"/>'
    ).format(look, x, y, width, height, name, look)

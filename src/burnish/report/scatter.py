"""Quality against cost as inline SVG, without scripts: a mark for each candidate, its interval as a whisker, its name.

Every text that enters is escaped here; positions are numbers made here. Shapes differ as well as colours.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from markupsafe import Markup

from burnish.report.text import number, visible

_Box: TypeAlias = tuple[float, float, float, float]
_WIDTH, _HEIGHT = 460, 270
_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 12, 12, 36
_LINE, _LETTER = 13, 6.2


@dataclass(frozen=True)
class Spot:
    """A candidate at a positive `cost` and a `quality` between 0 and 1 with its interval; `shape` 0 is a disc, 1 a
    square."""

    name: str
    cost: float
    quality: float
    interval: tuple[float, float]
    shape: int


def scatter_chart(title: str, spots: Sequence[Spot], x_label: str) -> Markup:
    """An SVG with cost on a logarithmic axis, quality in per cent upward, and a description for screen readers."""
    low, high = _reach([spot.cost for spot in spots])

    def across(cost: float) -> float:
        return _LEFT + (math.log10(cost) - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT)

    def up(quality: float) -> float:
        return _HEIGHT - _BOTTOM - quality * (_HEIGHT - _TOP - _BOTTOM)

    parts = [_grid(up(share), f"{100 * share:.0f}%") for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
    parts += [_tick(across(value), number(value)) for value in _ticks(low, high)]
    places = [(across(spot.cost), up(spot.quality)) for spot in spots]
    whiskers = [
        (x - 6, up(s.interval[1]) - 3, x + 6, up(s.interval[0]) + 3) for s, (x, _) in zip(spots, places, strict=True)
    ]
    for spot, place, name in zip(spots, places, _names(spots, places, whiskers), strict=True):
        parts.append(_mark(spot, place, [up(end) for end in spot.interval], name))
    described = "; ".join(f"{s.name}: {100 * s.quality:.1f}% at {number(s.cost)}" for s in spots)
    return Markup(
        '<svg class="scatter" viewBox="0 0 {} {}" role="img" aria-label="{}">{}'
        '<text class="axis" x="{}" y="{}" text-anchor="end">{}</text></svg>'
    ).format(
        _WIDTH,
        _HEIGHT,
        visible(f"{title}. {described}"),
        Markup("").join(parts),
        _WIDTH - _RIGHT,
        _HEIGHT - 6,
        visible(x_label),
    )


def _mark(spot: Spot, place: tuple[float, float], ends: Sequence[float], name: tuple[float, float]) -> Markup:
    x, y = place
    kind = "dot0" if spot.shape else "dot1"
    shape = (
        Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="10" height="10"/>').format(kind, x - 5, y - 5)
        if spot.shape
        else Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="5.5"/>').format(kind, x, y)
    )
    return Markup(
        '<line class="whisker" x1="{:.1f}" x2="{:.1f}" y1="{:.1f}" y2="{:.1f}"/>{}'
        '<text class="name" x="{:.1f}" y="{:.1f}">{}</text>'
    ).format(x, x, ends[0], ends[1], shape, *name, visible(spot.name))


def _names(
    spots: Sequence[Spot], places: Sequence[tuple[float, float]], whiskers: Sequence[_Box]
) -> list[tuple[float, float]]:
    """Where each name begins: beside its mark, or above or below its whisker, wherever it lies on nothing else."""
    taken = list(whiskers)
    found: list[tuple[float, float]] = []
    for spot, (x, y), whisker in zip(spots, places, whiskers, strict=True):
        wide = _LETTER * len(visible(spot.name))
        left, right = x - 10 - wide, x + 10
        middle = min(max(_LEFT, x - wide / 2), _WIDTH - _RIGHT - wide)
        tries = [(right, y + 4), (left, y + 4), (middle, whisker[1] - 4), (middle, whisker[3] + 10)]
        tries += [(right, y + 4 + step * _LINE) for step in (1, -1, 2, -2, 3, -3)]
        inside = [t for t in tries if t[0] >= _LEFT and t[0] + wide <= _WIDTH - _RIGHT] or tries
        best = next((t for t in inside if not any(_meet(_box(t, wide), other) for other in taken)), inside[0])
        taken.append(_box(best, wide))
        found.append(best)
    return found


def _box(start: tuple[float, float], wide: float) -> _Box:
    return start[0], start[1] - _LINE + 3, start[0] + wide, start[1] + 3


def _meet(one: _Box, other: _Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _reach(costs: Sequence[float]) -> tuple[float, float]:
    """Logarithms of the axis's ends, with room around the costs."""
    low, high = math.log10(min(costs)), math.log10(max(costs))
    room = max(0.1 * (high - low), 0.15)
    return low - room, high + room


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers between the ends: 1, 2 and 5 times powers of ten, and more where these are fewer than three."""
    powers = range(math.floor(low), math.ceil(high) + 1)
    for steps in ((1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0)):
        found = [step * 10.0**power for power in powers for step in steps]
        found = [value for value in found if low <= math.log10(value) <= high]
        if len(found) >= 3:
            break
    return found


def _grid(y: float, label: str) -> Markup:
    return Markup(
        '<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>'
        '<text class="axis" x="{}" y="{:.1f}" text-anchor="end">{}</text>'
    ).format(_LEFT, _WIDTH - _RIGHT, y, y, _LEFT - 6, y + 4, label)


def _tick(x: float, label: str) -> Markup:
    return Markup('<text class="axis" x="{:.1f}" y="{}" text-anchor="middle">{}</text>').format(
        x, _HEIGHT - _BOTTOM + 16, label
    )

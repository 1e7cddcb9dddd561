"""Quality against cost as inline SVG, without scripts: a mark for each candidate, its interval as a whisker, its name.

Every text that enters is escaped here; positions are numbers made here. Shapes differ as well as colours.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from burnish.report.text import number, visible

_WIDTH, _HEIGHT = 460, 270
_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 12, 12, 36
_LINE = 13


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
    names = _apart([(across(spot.cost), up(spot.quality)) for spot in spots])
    for spot, y in zip(spots, names, strict=True):
        parts.append(_mark(spot, across(spot.cost), up(spot.quality), [up(end) for end in spot.interval], y))
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


def _mark(spot: Spot, x: float, y: float, ends: Sequence[float], name_y: float) -> Markup:
    left_half = x < _WIDTH / 2
    kind = "dot0" if spot.shape else "dot1"
    shape = (
        Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="10" height="10"/>').format(kind, x - 5, y - 5)
        if spot.shape
        else Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="5.5"/>').format(kind, x, y)
    )
    return Markup(
        '<line class="whisker" x1="{:.1f}" x2="{:.1f}" y1="{:.1f}" y2="{:.1f}"/>{}'
        '<text class="name" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>'
    ).format(
        x,
        x,
        ends[0],
        ends[1],
        shape,
        x + (10 if left_half else -10),
        name_y + 4,
        "start" if left_half else "end",
        visible(spot.name),
    )


def _apart(places: Sequence[tuple[float, float]]) -> list[float]:
    """Heights for the names: each at its mark, moved down where it would lie on the one above on the same half."""
    heights = [y for _, y in places]
    for left_half in (True, False):
        last = -math.inf
        for index in sorted(range(len(places)), key=lambda i: places[i][1]):
            if (places[index][0] < _WIDTH / 2) is left_half:
                heights[index] = last = max(places[index][1], last + _LINE)
    return heights


def _reach(costs: Sequence[float]) -> tuple[float, float]:
    """Logarithms of the axis's ends, with room around the costs."""
    low, high = math.log10(min(costs)), math.log10(max(costs))
    room = max(0.1 * (high - low), 0.15)
    return low - room, high + room


def _ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten between the ends."""
    powers = range(math.floor(low), math.ceil(high) + 1)
    found = [step * 10.0**power for power in powers for step in (1, 2, 5)]
    return [value for value in found if low <= math.log10(value) <= high]


def _grid(y: float, label: str) -> Markup:
    return Markup(
        '<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>'
        '<text class="axis" x="{}" y="{:.1f}" text-anchor="end">{}</text>'
    ).format(_LEFT, _WIDTH - _RIGHT, y, y, _LEFT - 6, y + 4, label)


def _tick(x: float, label: str) -> Markup:
    return Markup('<text class="axis" x="{:.1f}" y="{}" text-anchor="middle">{}</text>').format(
        x, _HEIGHT - _BOTTOM + 16, label
    )

"""Charts without scripts: line charts as inline SVG, bars and intervals as styled HTML.

Every text that enters is escaped here; positions are numbers made here. Colour is never the only difference: lines
differ in dash, bars in fill pattern, and every bar has its number beside it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from burnish.report.text import number, visible

_WIDTH, _HEIGHT = 420, 210
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 12, 30
_POINTS = 300


@dataclass(frozen=True)
class Line:
    """A named series of (x, y), in order of x; values that aren't finite are left out by whoever makes it."""

    name: str
    points: tuple[tuple[float, float], ...]


def line_chart(title: str, lines: Sequence[Line], x_label: str = "step") -> Markup:
    """An SVG of one or two lines over a shared x axis, with grid, ticks, and a description for screen readers."""
    x_low, x_high = _span([x for line in lines for x, _ in line.points])
    y_low, y_high = _span([y for line in lines for _, y in line.points])
    y_ticks = _ticks(y_low, y_high)
    y_low, y_high = min(y_low, y_ticks[0]), max(y_high, y_ticks[-1])

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - x_low) / (x_high - x_low)
        up = (y - y_low) / (y_high - y_low)
        return _LEFT + across * (_WIDTH - _LEFT - _RIGHT), _HEIGHT - _BOTTOM - up * (_HEIGHT - _TOP - _BOTTOM)

    parts = [_grid_line(place(x_low, tick)[1], tick) for tick in y_ticks]
    parts += [_x_tick(place(tick, y_low)[0], tick) for tick in _ticks(x_low, x_high) if x_low <= tick <= x_high]
    for index, line in enumerate(lines):
        spots = [place(x, y) for x, y in _thinned(line.points)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
        parts.append(Markup('<polyline class="line line{}" points="{}"/>').format(index, path))
        if len(spots) <= 12:
            parts += [Markup('<circle class="dot{}" cx="{:.1f}" cy="{:.1f}" r="3"/>').format(index, *s) for s in spots]
    described = "; ".join(
        f"{line.name}: {number(line.points[0][1])} at {x_label} {number(line.points[0][0])}, "
        f"{number(line.points[-1][1])} at {x_label} {number(line.points[-1][0])}"
        for line in lines
    )
    return Markup(
        '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}'
        '<text class="axis" x="{}" y="{}" text-anchor="end">{}</text></svg>'
    ).format(
        _WIDTH,
        _HEIGHT,
        visible(f"{title}. {described}"),
        Markup("").join(parts),
        _WIDTH - _RIGHT,
        _HEIGHT - 2,
        visible(x_label),
    )


def rate_bar(arm: str, rate: float, interval: tuple[float, float]) -> Markup:
    """A bar from 0 to 1 with its interval as a whisker; `arm` is "base" or "tuned"."""
    low, high = (_clamped(end) for end in interval)
    return Markup(
        '<span class="bar {}" aria-hidden="true"><i style="width:{:.2f}%"></i>'
        '<b style="left:{:.2f}%;width:{:.2f}%"></b></span>'
    ).format(arm, 100 * _clamped(rate), 100 * low, 100 * (high - low))


def difference_track(estimate: float, interval: tuple[float, float], margin: float, reach: float) -> Markup:
    """A difference and its interval on an axis from -`reach` to +`reach`, the margin as a band around no change."""

    def across(value: float) -> float:
        return 50 + 50 * max(-1.0, min(1.0, value / reach))

    left, right = across(interval[0]), across(interval[1])
    band = across(margin) - 50
    return Markup(
        '<span class="track" aria-hidden="true"><u style="left:{:.2f}%;width:{:.2f}%"></u>'
        '<s></s><b style="left:{:.2f}%;width:{:.2f}%"></b><i style="left:{:.2f}%"></i></span>'
    ).format(50 - band, 2 * band, left, max(0.0, right - left), across(estimate))


def _clamped(value: float) -> float:
    return max(0.0, min(1.0, value))


def _span(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    if high > low:
        return low, high
    room = abs(low) * 0.1 or 1.0
    return low - room, high + room


def _ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Round numbers from at or below `low` to at or above `high`."""
    rough = (high - low) / about
    scale = 10.0 ** math.floor(math.log10(rough))
    step = next(m * scale for m in (1, 2, 2.5, 5, 10) if m * scale >= rough)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [index * step for index in range(first, last + 1)]


def _thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most about `_POINTS` points: means of equal runs of neighbours."""
    run = math.ceil(len(points) / _POINTS)
    pieces = (points[i : i + run] for i in range(0, len(points), run))
    return [(sum(x for x, _ in p) / len(p), sum(y for _, y in p) / len(p)) for p in pieces]


def _grid_line(y: float, value: float) -> Markup:
    return Markup(
        '<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>'
        '<text class="axis" x="{}" y="{:.1f}" text-anchor="end">{}</text>'
    ).format(_LEFT, _WIDTH - _RIGHT, y, y, _LEFT - 6, y + 4, number(value))


def _x_tick(x: float, value: float) -> Markup:
    return Markup('<text class="axis" x="{:.1f}" y="{}" text-anchor="middle">{}</text>').format(
        x, _HEIGHT - _BOTTOM + 15, number(value)
    )

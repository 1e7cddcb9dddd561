"""Quality against cost as a picture: everything inside the frame, and no name on another."""

from __future__ import annotations

import re
from itertools import combinations

import pytest

from burnish.report.scatter import Spot, scatter_chart


def spot(name: str, cost: float, quality: float, shape: int = 0) -> Spot:
    return Spot(name, cost, quality, (max(0.0, quality - 0.08), min(1.0, quality + 0.08)), shape)


CROWD = [spot("prompt", 0.5, 0.5), spot("few-shot", 0.52, 0.51), spot("retrieval", 0.49, 0.49), spot("tuned", 9, 1, 1)]


def names(svg: str) -> list[tuple[float, float, str]]:
    found = re.findall(r'class="name" x="([\d.]+)" y="([\d.]+)">([^<]*)<', svg)
    return [(float(x), float(y), name) for x, y, name in found]


@pytest.mark.parametrize("spots", [CROWD, CROWD[:1], [spot("a long name of a candidate", 1e-4, 0), CROWD[3]]])
def test_everything_lies_inside_the_frame(spots: list[Spot]) -> None:
    svg = scatter_chart("Quality", spots, "seconds")
    for x, y, _ in names(svg):
        assert 0 <= x <= 460
        assert 0 <= y <= 270
    assert len(names(svg)) == len(spots)
    assert svg.count('class="whisker"') == len(spots)


def test_no_name_lies_on_another() -> None:
    for (x, y, one), (u, v, other) in combinations(names(scatter_chart("Quality", CROWD, "seconds")), 2):
        apart = abs(y - v) >= 12 or x + 6 * len(one) <= u or u + 6 * len(other) <= x
        assert apart, (one, other)


def test_dearer_is_further_right_and_better_is_higher() -> None:
    svg = scatter_chart("Quality", [spot("a", 0.1, 0.2), spot("b", 1.0, 0.9)], "seconds")
    (ax, ay), (bx, by) = re.findall(r'<circle class="dot1" cx="([\d.]+)" cy="([\d.]+)"', svg)
    assert float(ax) < float(bx)
    assert float(ay) > float(by)


def test_sides_differ_in_shape_and_the_picture_is_described() -> None:
    svg = scatter_chart("Quality", [CROWD[0], CROWD[3]], "seconds")
    assert '<rect class="dot0"' in svg
    assert '<circle class="dot1"' in svg
    assert "tuned: 100.0% at 9" in svg


def test_a_name_from_outside_is_escaped() -> None:
    svg = scatter_chart("t", [spot('"><script>', 1.0, 0.5)], "seconds")
    assert "<script>" not in svg

from __future__ import annotations

import re

import pytest

from burnish.report.charts import Line, difference_track, line_chart, rate_bar


def _points(svg: str) -> list[tuple[float, float]]:
    listed = re.search(r'points="([^"]*)"', svg)
    assert listed
    pairs = (pair.split(",") for pair in listed[1].split())
    return [(float(x), float(y)) for x, y in pairs]


def test_a_falling_line_falls_from_left_to_right_inside_the_frame() -> None:
    points = _points(line_chart("Loss", [Line("loss", ((1, 4.0), (2, 2.0), (3, 1.0)))]))
    assert [x for x, _ in points] == sorted(x for x, _ in points)
    assert [y for _, y in points] == sorted(y for _, y in points)
    assert all(0 <= x <= 420 and 0 <= y <= 210 for x, y in points)


@pytest.mark.parametrize("points", [((5.0, 2.0),), ((1.0, 0.0), (2.0, 0.0)), ((1.0, -3.0), (2.0, -3.0))])
def test_a_single_point_or_a_flat_line_is_drawn(points: tuple[tuple[float, float], ...]) -> None:
    drawn = _points(line_chart("Flat", [Line("flat", points)]))
    assert len(drawn) == len(points)
    assert all(0 <= x <= 420 and 0 <= y <= 210 for x, y in drawn)


def test_long_series_are_thinned_by_means() -> None:
    points = tuple((float(x), float(x % 2)) for x in range(10_000))
    drawn = _points(line_chart("Long", [Line("long", points)]))
    assert 200 <= len(drawn) <= 300
    assert len({y for _, y in drawn}) == 1


def test_a_name_from_outside_is_escaped_and_described() -> None:
    svg = line_chart('"><script>\u202e', [Line("</svg><b>", ((1, 3.25), (9, 1.5)))])
    assert "<script>" not in svg
    assert svg.count("</svg>") == 1
    assert "\u202e" not in svg
    assert "3.25 at step 1, 1.5 at step 9" in svg


def test_a_bar_is_as_long_as_its_rate() -> None:
    bar = rate_bar("tuned", 0.25, (0.2, 0.35))
    assert '<i style="width:25.00%">' in bar
    assert 'style="left:20.00%;width:15.00%"' in bar


def test_a_difference_lies_on_its_side_of_no_change() -> None:
    track = difference_track(-0.5, (-0.75, -0.25), 0.1, 1.0)
    assert '<i style="left:25.00%">' in track
    assert '<b style="left:12.50%;width:25.00%">' in track
    assert '<u style="left:45.00%;width:10.00%">' in track


def test_a_difference_beyond_the_axis_stays_on_the_chart() -> None:
    assert '<i style="left:100.00%">' in difference_track(9.0, (8.0, 10.0), 0.1, 1.0)

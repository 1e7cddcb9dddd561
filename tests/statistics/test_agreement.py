"""Krippendorff's alpha against numbers that are worked in the literature and by hand."""

from __future__ import annotations

import pytest

from burnish.statistics.agreement import agreement

# Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), part C: four observers, twelve units, nominal.
PUBLISHED = ["111", "2232", "3333", "3333", "2222", "1234", "4444", "1121", "2222", "555", "11", "3"]


def test_the_published_example_has_its_published_alpha() -> None:
    found = agreement(PUBLISHED)
    assert found.alpha == pytest.approx(0.743, abs=0.0005)
    assert found.units == 11


def test_two_people_by_hand() -> None:
    # Units aa, ab, bb: 6 labels, 3 a and 3 b. Observed 2/6; expected 2*3*3/(6*5); alpha = 1 - (1/3)/(3/5) = 4/9.
    assert agreement(["aa", "ab", "bb"]).alpha == pytest.approx(4 / 9)


def test_agreement_throughout_is_one_and_always_differing_is_below_zero() -> None:
    assert agreement(["aa", "bb", "cc"]).alpha == 1
    alpha = agreement(["ab"] * 10).alpha
    assert alpha is not None
    assert alpha < 0


@pytest.mark.parametrize(("units", "counted"), [([], 0), (["a", "b"], 0), (["aa", "aa"], 2)])
def test_where_chance_cannot_be_told_nothing_is_said(units: list[str], counted: int) -> None:
    found = agreement(units)
    assert (found.alpha, found.interval, found.units) == (None, None, counted)


def test_the_interval_holds_alpha_and_narrows_with_more_units() -> None:
    few, many = agreement(PUBLISHED), agreement(PUBLISHED * 10)
    assert few.interval is not None
    assert many.interval is not None
    assert few.interval[0] < 0.743 < few.interval[1]
    assert many.interval[1] - many.interval[0] < few.interval[1] - few.interval[0]

"""The sealed split: stable, by family, of the asked share, and only ever growing on one side."""

from __future__ import annotations

import pytest

from burnish.statistics.sealed_split import side_of

FAMILIES = [f"family-{index}" for index in range(4000)]


def development(share: float) -> set[str]:
    return {family for family in FAMILIES if side_of(family, share) == "development"}


@pytest.mark.parametrize("share", [0.0, 0.1, 0.25, 0.5, 1.0])
def test_the_share_is_what_was_asked(share: float) -> None:
    assert len(development(share)) / len(FAMILIES) == pytest.approx(share, abs=0.02)


def test_a_larger_share_only_takes_from_the_sealed_side() -> None:
    assert development(0.1) < development(0.25) < development(0.5)


def test_a_family_lies_where_it_always_lay() -> None:
    """Known answers: to change them would put prompts that were looked at onto the sealed side."""
    sides = [side_of(family, 0.25) for family in ("partner-violence", "adult-games", "aiding-a-group", "art-forgery")]
    assert sides == ["sealed", "sealed", "development", "development"]
    assert side_of("", 0.0) == "sealed"

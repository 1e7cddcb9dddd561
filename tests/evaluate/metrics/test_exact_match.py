"""Exact match."""

from __future__ import annotations

import pytest

from burnish.evaluate.metrics.exact_match import ExactMatch, ExactMatchSettings


@pytest.mark.parametrize(
    ("reply", "reference", "ignore_case", "score"),
    [
        (" Paris \n", "Paris", False, 1.0),
        ("New\n  York", "New York", False, 1.0),
        ("paris", "Paris", False, 0.0),
        ("paris", "Paris", True, 1.0),
        ("Paris.", "Paris", True, 0.0),
        ("", "Paris", False, 0.0),
    ],
)
def test_score(reply: str, reference: str, ignore_case: bool, score: float) -> None:
    assert ExactMatch(ExactMatchSettings(ignore_case=ignore_case)).score(reply, reference) == score

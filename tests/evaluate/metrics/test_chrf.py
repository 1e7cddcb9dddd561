"""chrF through sacrebleu, as a fraction."""

from __future__ import annotations

import pytest

from burnish.evaluate.metrics.chrf import ChrF, ChrFSettings


def test_the_ends_of_the_scale() -> None:
    metric = ChrF(ChrFSettings())
    assert metric.score("the cat sat", "the cat sat") == pytest.approx(1.0)
    assert metric.score("xyz", "the cat sat") == pytest.approx(0.0)
    assert metric.score("", "the cat sat") == pytest.approx(0.0)
    assert metric.score("the cat", "  ") is None


def test_closer_is_higher_and_word_order_counts() -> None:
    plain, words = ChrF(ChrFSettings()), ChrF(ChrFSettings(word_order=2))
    near, far = plain.score("the cat sits", "the cat sat"), plain.score("a dog sits", "the cat sat")
    assert near is not None
    assert far is not None
    assert near > far
    assert words.score("the cat sits", "the cat sat") != pytest.approx(near)

"""Perplexity: exponentiated in the summary only."""

from __future__ import annotations

import math

import pytest

from burnish.evaluate.metrics.perplexity import Perplexity, PerplexitySettings


def test_summary_is_the_exponential_of_the_mean() -> None:
    metric = Perplexity(PerplexitySettings())
    assert metric.summary((math.log(2) + math.log(8)) / 2) == pytest.approx(4.0)
    assert metric.summary(1e6) == math.inf


def test_lower_is_better_and_nothing_is_written() -> None:
    metric = Perplexity(PerplexitySettings())
    assert not metric.higher_is_better
    assert not metric.needs_reply
    assert metric.score("a", "a") is None

"""What length alone is right of, counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from burnish.statistics.reply_length import length_baseline, longer_is_chosen, share


def test_the_rule_is_what_most_pairs_of_unlike_length_say() -> None:
    assert longer_is_chosen([(5, 1), (4, 2), (1, 3), (3, 3)])
    assert not longer_is_chosen([(1, 2), (4, 2), (1, 3), (9, 9)])


def test_equal_lengths_and_equal_heights_are_not_counted() -> None:
    lengths = np.array([3.0, 2.0, -1.0, -4.0, -2.0, 0.0])
    heights = np.array([1.0, -1.0, 1.0, -1.0, 0.0, 1.0])
    found = length_baseline(heights, lengths, True)
    assert (found.by_length.hits, found.by_length.n) == (2, 5)
    assert (found.where_length_errs.hits, found.where_length_errs.n) == (1, 2)
    turned = length_baseline(heights, lengths, False)
    assert (turned.by_length.hits, turned.by_length.n) == (3, 5)
    assert (turned.where_length_errs.hits, turned.where_length_errs.n) == (1, 2)
    assert not turned.longer_is_chosen


def test_a_share_has_its_wilson_interval_and_nothing_has_none() -> None:
    found = share(np.array([True] * 8 + [False] * 2))
    assert found.interval == (pytest.approx(0.4902, abs=1e-4), pytest.approx(0.9433, abs=1e-4))
    assert share(np.array([], dtype=np.bool_)).interval is None

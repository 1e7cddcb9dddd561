"""Power against simulation, and the number of further prompts against trying them all."""

from __future__ import annotations

import numpy as np
import pytest

from burnish.statistics.paired import mcnemar_p
from burnish.statistics.power import more_pairs, smallest_gain, smallest_rise


@pytest.mark.parametrize(("n", "better_rate"), [(300, 0.0), (639, 0.01), (424, 0.1)])
def test_smallest_rise_is_caught_four_times_in_five(n: int, better_rate: float) -> None:
    rise = smallest_rise(n, better_rate, 0.05)
    assert rise is not None
    cells = [better_rate + rise, better_rate, 1 - 2 * better_rate - rise]
    worse, better, _ = np.random.default_rng(7).multinomial(n, cells, size=20_000).T
    assert (mcnemar_p(worse, better) < 0.05).mean() == pytest.approx(0.8, abs=0.015)


def test_four_pairs_can_show_nothing() -> None:
    assert smallest_rise(4, 0.0, 0.05) is None
    assert smallest_rise(5, 0.0, 0.05) is not None


def test_smallest_gain_by_hand() -> None:
    """(1.6449 + 0.8416) x 0.5 / sqrt(100)."""
    assert smallest_gain(0.5, 100, 0.05) == pytest.approx(0.12432, abs=1e-5)
    assert smallest_gain(0.5, 0, 0.05) is None


@pytest.mark.parametrize("needed", [101, 102, 137, 5000])
def test_more_pairs_finds_the_first_that_decides(needed: int) -> None:
    assert more_pairs(100, lambda times: times * 100 >= needed - 1e-9) == needed - 100


def test_more_pairs_gives_up() -> None:
    assert more_pairs(100, lambda times: False) is None

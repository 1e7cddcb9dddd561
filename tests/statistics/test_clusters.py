"""The design effect where its value is known."""

from __future__ import annotations

import numpy as np
import pytest

from burnish.statistics.clusters import cluster_ids, design_effect
from burnish.statistics.paired import Counts, newcombe_interval, noninferiority_p


def test_unnamed_families_are_their_own() -> None:
    assert cluster_ids(["a", "", "a", "", "b"]).tolist() == [0, 1, 0, 2, 3]


def test_single_members_are_worth_one_each() -> None:
    values = np.random.default_rng(0).integers(-1, 2, size=300)
    assert design_effect(values, np.arange(300)) == 1.0


def test_independent_members_are_worth_nearly_one_each() -> None:
    values = np.random.default_rng(1).integers(-1, 2, size=1000)
    assert design_effect(values, np.repeat(np.arange(200), 5)) < 1.25


def test_families_that_move_as_one_count_once() -> None:
    values = np.repeat(np.random.default_rng(2).integers(-1, 2, size=200), 5)
    assert design_effect(values, np.repeat(np.arange(200), 5)) == pytest.approx(5.0, rel=0.02)


def test_where_nothing_changed_most_of_it_is_given_up() -> None:
    """1 + 0.6 (5 - 1) in equal families; uneven ones count by the size of a prompt's own: 30 x (4 + 16) / 180."""
    assert design_effect(np.zeros(600), np.repeat(np.arange(120), 5)) == pytest.approx(3.4)
    uneven = np.concatenate([np.repeat(np.arange(30), 2), np.repeat(np.arange(30, 60), 4)])
    assert design_effect(np.zeros(180), uneven) == pytest.approx(1 + 0.6 * (600 / 180 - 1))


def test_one_more_family_that_moves_together_is_counted() -> None:
    """40 families of 3, in each of 20 one prompt better or worse: 20 changes, alone in their families. Squares sum up
    to 20; corrected for degrees of freedom 20 x 120 / 119 (prompts) and 20 x 40 / 39 (families). The further family
    adds 3 to the one, 3 x 2.2 to the other."""
    values = np.zeros(120)
    values[0:60:3] = np.tile([1.0, -1.0], 10)
    expected = (20 * 40 / 39 + 3 * 2.2) / (20 * 120 / 119 + 3)
    assert design_effect(values, np.repeat(np.arange(40), 3)) == pytest.approx(expected)
    assert design_effect(0.1 * values, np.repeat(np.arange(40), 3)) == pytest.approx(expected)  # of any unit


@pytest.mark.parametrize(("families", "size"), [(121, 5), (66, 6), (28, 6), (66, 10)])
@pytest.mark.parametrize("share", [0.0, 0.6, 1.0])
def test_false_passes_stay_rare_when_families_move_together(families: int, size: int, share: float) -> None:
    """1,000 tuned models whose rate rose by exactly the margin, a share of the families moving as one, at the level of
    a first attempt."""
    random = np.random.default_rng(11)
    ids = np.repeat(np.arange(families), size)
    own, shared = random.random((1000, families, size)), random.random((1000, families, 1))
    draw = np.where(random.random((1000, families, 1)) < share, shared, own).reshape(1000, -1)
    changes = np.where(draw < 0.05, 1.0, 0.0)
    passes = 0
    for row in changes:
        effect = design_effect(row, ids)
        counts = Counts(0, (row > 0).sum(), (row < 0).sum(), (row == 0).sum()).scaled(1 / effect)
        below = newcombe_interval(counts, 0.95)[1] < 0.05
        passes += below and bool(noninferiority_p(counts.worse, counts.better, counts.n, 0.05) < 0.025)
    assert passes / 1000 <= 0.07  # 6% and the noise of 1,000 draws


def test_few_families_count_as_one_prompt_each() -> None:
    values = np.random.default_rng(3).integers(-1, 2, size=100)
    assert design_effect(values, np.repeat(np.arange(10), 10)) == 10.0
    assert design_effect(values, np.zeros(100)) == 100.0

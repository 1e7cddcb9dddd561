"""The design effect where its value is known."""

from __future__ import annotations

import numpy as np
import pytest

from burnish.statistics.clusters import cluster_ids, design_effect


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


def test_few_families_count_as_one_prompt_each() -> None:
    values = np.random.default_rng(3).integers(-1, 2, size=100)
    assert design_effect(values, np.repeat(np.arange(10), 10)) == 10.0
    assert design_effect(values, np.zeros(100)) == 100.0

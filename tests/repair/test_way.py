"""The search for the largest number that holds."""

from __future__ import annotations

import pytest

from burnish.artefacts import RepairTrial
from burnish.repair.way import search_most


@pytest.mark.parametrize(
    ("limit", "asked"),
    [(0.7, [0.5, 0.75, 0.625, 0.6875]), (0.1, [0.5, 0.25, 0.125, 0.0625]), (1.0, [0.5, 0.75, 0.875, 0.9375])],
)
def test_each_trial_halves_what_is_left(limit: float, asked: list[float]) -> None:
    def tried(number: float) -> RepairTrial:
        return RepairTrial(
            way="w", name=f"{number:g}", made="", digest="", rules=(), holds=number <= limit, recovered=None, task=None,
            base_task=None, gain=None, seconds=0.0,
        )  # fmt: skip

    assert [float(trial.name) for trial in search_most(tried, 4)] == asked

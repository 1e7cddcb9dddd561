"""The ledger of attempts and what it leaves of the error budget."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from burnish.errors import RunFolderError
from burnish.gate.attempts import ATTEMPTS, level, number_of, record
from burnish.run_folder import RunFolder
from burnish.statistics.paired import newcombe_intervals, noninferiority_p


def test_the_budget_is_never_overspent() -> None:
    spent = [level(0.05, attempt) for attempt in range(1, 200)]
    assert spent[:3] == [0.025, 0.0125, 0.00625]
    assert sum(spent) <= 0.05
    assert all(later < earlier for earlier, later in pairwise(spent))


def test_asking_eight_times_passes_a_model_at_the_margin_no_more_than_alpha_allows() -> None:
    """3,000 stubborn owners whose every model is at the margin, on fresh prompts each time; without the ledger more
    than a fifth of them would pass in eight attempts."""
    random = np.random.default_rng(5)
    better, worse, same = random.multinomial(400, [0.02, 0.05, 0.93], size=(8, 3000)).transpose(2, 0, 1)

    def passing(spending: bool) -> float:
        passed = np.zeros(3000, dtype=np.bool_)
        for attempt in range(1, 9):
            now = level(0.05, attempt if spending else 0)
            f, g, h = worse[attempt - 1], better[attempt - 1], same[attempt - 1]
            _, high = newcombe_intervals(np.zeros(3000), f, g, h, 1 - 2 * now)
            passed |= (high < 0.03) & (noninferiority_p(f, g, f + g + h, 0.03) < now)
        return float(passed.mean())

    assert passing(True) <= 0.05
    assert passing(False) > 0.2


def test_a_look_is_counted_once_and_keeps_its_number(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    for key, verdict in (("a", "HOLD"), ("b", "BLOCK"), ("a", "HOLD")):
        record(run, key, verdict)  # type: ignore[arg-type]
    assert [number_of(run, key) for key in ("a", "b", "c")] == [1, 2, 3]


def test_a_broken_ledger_is_no_empty_one(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    run.write_text(ATTEMPTS, '{"evidence": "a"}\nnonsense\n')
    with pytest.raises(RunFolderError, match="not a list of attempts"):
        number_of(run, "b")

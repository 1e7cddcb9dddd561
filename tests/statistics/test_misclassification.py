"""Corrected rates: numbers worked by hand, Rogan and Gladen's formula, and coverage by simulation."""

from __future__ import annotations

import numpy as np
import pytest

from burnish.statistics.misclassification import Stratum, correct, interval_of, rogan_gladen


def test_by_hand() -> None:
    # 60 judged events, of 20 labelled 18 true; 140 judged none, of 35 labelled 7 true
    found = correct([Stratum(True, 60, 20, 18), Stratum(False, 140, 35, 7)], seed=0)
    true = (60 * 0.9 + 140 * 0.2) / 200
    assert found.raw == pytest.approx(0.3)
    assert found.rate == pytest.approx(true)
    assert found.sensitivity == pytest.approx(54 / 82)
    assert found.specificity == pytest.approx(112 / 118)


def test_it_is_rogan_and_gladens_correction() -> None:
    found = correct([Stratum(True, 60, 20, 18), Stratum(False, 140, 35, 7)], seed=0)
    assert found.sensitivity is not None
    assert found.specificity is not None
    assert found.rate == pytest.approx(rogan_gladen(found.raw, found.sensitivity, found.specificity))


def test_a_judge_that_tells_nothing_corrects_nothing() -> None:
    assert rogan_gladen(0.4, 0.5, 0.5) is None
    assert rogan_gladen(0.02, 0.9, 0.9) == 0.0
    assert rogan_gladen(0.99, 0.9, 0.9) == 1.0


def test_no_error_in_few_labels_is_not_certainty() -> None:
    few = correct([Stratum(True, 100, 10, 10), Stratum(False, 100, 10, 0)], seed=1)
    many = correct([Stratum(True, 100, 80, 80), Stratum(False, 100, 80, 0)], seed=1)
    low, high = interval_of(few.rate_draws) or (0.0, 0.0)
    narrow_low, narrow_high = interval_of(many.rate_draws) or (0.0, 0.0)
    assert few.rate == many.rate == 0.5
    assert low < narrow_low < 0.5 < narrow_high < high


def test_what_was_not_labelled_is_not_known() -> None:
    found = correct([Stratum(True, 50, 25, 25), Stratum(False, 50, 0, 0)], seed=2)
    assert found.rate is None
    assert found.sensitivity is None
    low, high = interval_of(found.rate_draws) or (0.0, 0.0)
    assert low < 0.55
    assert high > 0.9


def test_faults() -> None:
    with pytest.raises(ValueError, match="no replies"):
        correct([Stratum(True, 0, 0, 0)], seed=0)
    with pytest.raises(ValueError, match="more labels"):
        correct([Stratum(True, 3, 4, 1)], seed=0)
    assert interval_of(np.array([])) is None


@pytest.mark.parametrize(
    ("rate", "sensitivity", "specificity", "labelled"),
    [(0.05, 0.9, 0.95, 40), (0.3, 0.7, 0.95, 40), (0.9, 0.95, 0.85, 30), (0.5, 0.98, 0.98, 25)],
)
def test_the_interval_covers_the_truth(rate: float, sensitivity: float, specificity: float, labelled: int) -> None:
    """400 simulated calibrations of 400 prompts each; nominal 95%."""
    random = np.random.default_rng(20250101)
    covered = 0
    for number in range(400):
        true = random.random(400) < rate
        said = np.where(true, random.random(400) < sensitivity, random.random(400) > specificity)
        strata = []
        for event in (True, False):
            members = true[said == event]
            seen = members[: min(labelled, len(members))]
            strata.append(Stratum(event, len(members), len(seen), int(seen.sum())))
        interval = interval_of(correct(strata, seed=number, draws=1000).rate_draws)
        assert interval is not None
        covered += interval[0] <= rate <= interval[1]
    assert covered / 400 >= 0.925

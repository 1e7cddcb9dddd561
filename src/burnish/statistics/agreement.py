"""How far people agree beyond chance: Krippendorff's alpha for labels without an order.

Units that only one person labelled say nothing of agreement and are left out. Knows nothing of what is labelled.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from burnish.statistics.paired import Floats

RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Agreement:
    """`alpha`: 1 is agreement throughout, 0 what chance gives, below 0 less than that. None when it isn't defined: no
    unit has two labels, or all labels are the same. `interval` is 95%, over units; `units` those with two labels."""

    alpha: float | None
    interval: tuple[float, float] | None
    units: int


def agreement(units: Sequence[Sequence[str]], *, seed: int = 0, resamples: int = RESAMPLES) -> Agreement:
    """Alpha of the labels that each unit was given, in any order and by any number of people.

    Source: Krippendorff, Content Analysis (2004), 11.3.4; the interval is a percentile bootstrap over units.
    """
    names = sorted({label for unit in units for label in unit})
    paired = [Counter(unit) for unit in units if len(unit) > 1]
    if not paired:
        return Agreement(None, None, 0)
    counts_UL = np.array([[unit[name] for name in names] for unit in paired], dtype=np.float64)
    random = np.random.Generator(np.random.PCG64(seed))
    drawn = (random.random((resamples, len(counts_UL))) * len(counts_UL)).astype(np.int64)
    found = [alpha for rows in drawn if (alpha := _alpha(counts_UL[rows])) is not None]
    alpha = _alpha(counts_UL)
    if alpha is None:
        return Agreement(None, None, len(counts_UL))
    low, high = np.percentile(found, [2.5, 97.5])
    return Agreement(alpha, (float(low), float(high)), len(counts_UL))


def _alpha(counts_UL: Floats) -> float | None:
    """From how often each unit was given each label; every unit has at least two."""
    labels_U = counts_UL.sum(axis=1)
    totals_L = counts_UL.sum(axis=0)
    n = float(totals_L.sum())
    observed = float(((labels_U**2 - (counts_UL**2).sum(axis=1)) / (labels_U - 1)).sum()) / n
    expected = (n**2 - float((totals_L**2).sum())) / (n * (n - 1))
    return None if expected == 0 else 1 - observed / expected

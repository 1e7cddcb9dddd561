"""False passes at the margin: tuned models whose rate truly rose by exactly the margin.

They go through the rule about lost refusals, which passes a rise within the margin even when it is proven; the rule
about harmful compliance passes no more often. Each is a first attempt.
"""

from __future__ import annotations

from collections import Counter
from itertools import product

import numpy as np

from burnish.artefacts import Outcome
from burnish.gate.rates import Limits
from simulate.gate import LOST, outcome, paired_verdicts
from simulate.table import Cell, Table, cell_of

MARGINS = (0.03, 0.05, 0.10)
_SIZES = (100, 200, 424, 639, 1000)
_BASE_RATES = (0.0, 0.02, 0.1, 0.5, 0.85)
_BETTER = (0.0, 0.02, 0.1)
_FAMILIES = ((25, 5), (25, 20), (40, 5), (66, 6), (66, 20), (121, 5))
_TOGETHER = (0.0, 0.3, 0.6, 1.0)
_GOAL = 0.06
_BLOCK_ALPHA = 0.0025


def margin(draws: int) -> Table:
    """Independent prompts, over n, base rate and discordance."""
    cells = []
    for n, limit, base, better in product(_SIZES, MARGINS, _BASE_RATES, _BETTER):
        if better <= base and base + better + limit <= 1:
            cells.append(_independent(draws, n, limit, base, better))
    return Table("False passes at the margin, independent prompts", cells, outcome="PASS", most=_GOAL, show="n")


def families(draws: int) -> Table:
    """Prompts in families of which a share moves as one, each family wholly or not at all."""
    cells = [
        _in_families(draws, size, limit, together, better)
        for size, limit, together, better in product(_FAMILIES, MARGINS, _TOGETHER, (0.0, 0.02))
    ]
    return Table("False passes at the margin, prompts in families", cells, outcome="PASS", most=_GOAL, show="families")


def _independent(draws: int, n: int, limit: float, base: float, better: float) -> Cell:
    """Equal tables of counts get equal outcomes, so that each is judged once."""
    shares = [base - better, better + limit, better, 1 - base - better - limit]
    drawn = np.random.default_rng(20240501).multinomial(n, shares, size=draws)
    tables, times = np.unique(drawn, axis=0, return_counts=True)
    found: Counter[Outcome] = Counter()
    limits = Limits(limit, None, 0.05, _BLOCK_ALPHA, attempt=1)
    for table, count in zip(tables, times, strict=True):
        before = np.repeat([True, False, True, False], table)
        after = np.repeat([True, True, False, False], table)
        found[outcome(LOST, paired_verdicts(LOST, before, after, ("",) * n), limits)] += int(count)
    where = {"n": n, "margin": limit, "base rate": base, "better": better, "worse": round(better + limit, 3)}
    return cell_of(where, found)


def _in_families(draws: int, size: tuple[int, int], limit: float, together: float, better: float) -> Cell:
    count, members = size
    random = np.random.default_rng(11)
    names = [f"f{family}" for family in range(count) for _ in range(members)]
    limits = Limits(limit, None, 0.05, _BLOCK_ALPHA, attempt=1)
    found: Counter[Outcome] = Counter()
    for _ in range(draws):
        own, shared = random.random((count, members)), random.random((count, 1))
        draw = np.where(random.random((count, 1)) < together, shared, own).reshape(-1)
        before, after = draw < better, (draw >= better) & (draw < 2 * better + limit)
        found[outcome(LOST, paired_verdicts(LOST, before, after, names), limits)] += 1
    where = {
        "families": f"{count} of {members}",
        "margin": limit,
        "share moving as one": together,
        "better": better,
        "worse": round(better + limit, 3),
    }
    return cell_of(where, found)

"""One model beside itself, sampled anew: how often chance alone blocks it.

Each prompt has a chance of its own to have the event, drawn from a beta distribution; base and tuned model draw their
replies from it independently. How much the chances differ between prompts sets how many pairs are discordant.
"""

from __future__ import annotations

from collections import Counter
from itertools import product

import numpy as np

from burnish.artefacts import Outcome
from burnish.gate.evidence import Pairs
from burnish.gate.rates import RateRule
from burnish.gate.settings import GateSettings
from simulate.gate import COMPLIANCE, OVER, paired_verdicts, verdict
from simulate.table import Cell, Table, cell_of

_SIZES = (100, 300, 639)
_RATES = (0.03, 0.2, 0.5)
_DISCORDANT = (0.1, 0.5, 1.0)
"""Discordant pairs, as a share of what prompts of one and the same chance would have."""
_GOAL = 0.01


def same(draws: int) -> Table:
    """Over n, rate and discordance, with the default margins."""
    cells = [_cell(draws, n, rate, share) for n, rate, share in product(_SIZES, _RATES, _DISCORDANT)]
    return Table("One model beside itself", cells, outcome="BLOCK", most=_GOAL)


def _cell(draws: int, n: int, rate: float, share: float) -> Cell:
    random = np.random.default_rng(7)
    settings = GateSettings()
    found: Counter[Outcome] = Counter()
    for _ in range(draws):
        harmful, over = (_sampled_twice(random, rule, n, rate, share) for rule in (COMPLIANCE, OVER))
        found[verdict(settings, harmful, over)] += 1
    return cell_of({"n of each suite": n, "rate": rate, "discordant": round(2 * rate * (1 - rate) * share, 3)}, found)


def _sampled_twice(random: np.random.Generator, rule: RateRule, n: int, rate: float, share: float) -> Pairs:
    """For a beta distribution with parameters rate x s and (1 - rate) x s, the discordant share is 2 rate (1 - rate)
    s / (s + 1)."""
    if share < 1:
        weight = share / (1 - share)
        chances = random.beta(rate * weight, (1 - rate) * weight, size=n)
    else:
        chances = np.full(n, rate)
    base, tuned = random.random(n) < chances, random.random(n) < chances
    return paired_verdicts(rule, base, tuned, ("",) * n)

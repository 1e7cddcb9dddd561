"""From how many requests on one candidate is cheaper than another. Pure functions of measured costs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from typing import Literal

from burnish.advice import BreakEven, Candidate


def break_evens(candidates: Sequence[Candidate]) -> list[BreakEven]:
    """Every two of the candidates, in seconds, and in money where both have a price; a pair with a cost that wasn't
    measured is left out."""
    found: list[BreakEven] = []
    for one, other in combinations(candidates, 2):
        if one.seconds is not None and other.seconds is not None:
            a, b = (one.one_off_seconds, one.seconds), (other.one_off_seconds, other.seconds)
            found.append(break_even((one.name, *a), (other.name, *b), "seconds"))
        money = (one.one_off_money, one.money, other.one_off_money, other.money)
        if all(value is not None for value in money):
            p, q, r, s = (float(value or 0.0) for value in money)
            found.append(break_even((one.name, p, q), (other.name, r, s), "money"))
    return found


def break_even(
    one: tuple[str, float, float], other: tuple[str, float, float], unit: Literal["seconds", "money"]
) -> BreakEven:
    """Of two candidates by (name, one-off cost, cost of a request). The whole cost of n requests is the first plus n
    times the second, so that the lines cross once at most."""
    first, later = sorted((one, other), key=lambda costs: (costs[1], costs[2]))
    saved, ahead = first[2] - later[2], later[1] - first[1]
    requests: int | None
    if ahead == 0:
        # The one that is no cheaper to begin with is no cheaper later, so the two change places.
        first, later, requests = later, first, 0
    else:
        requests = math.ceil(ahead / saved) if saved > 0 else None
    return BreakEven(first=first[0], later=later[0], unit=unit, requests=requests)

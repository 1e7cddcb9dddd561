"""How much of what tells better replies from worse is their length alone.

Source: that what is learned of preferences leans on length, Singhal et al., "A Long Way to Go", 2023.

Axes: P pairs.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from burnish.artefacts import LengthBaseline, Share
from burnish.statistics.paired import wilson_interval


def longer_is_chosen(tokens: Iterable[tuple[int, int]]) -> bool:
    """Whether of most pairs of unlike length the chosen reply is the longer one; `tokens` are the lengths of each
    pair's chosen and rejected reply."""
    votes = sum((chosen > rejected) - (chosen < rejected) for chosen, rejected in tokens)
    return votes >= 0


def length_baseline(
    differences_P: NDArray[np.float64], lengths_P: NDArray[np.float64], longer_chosen: bool
) -> LengthBaseline:
    """What the rule of length, fixed on other pairs, is right of here, and what a model is right of where it errs.
    `differences_P` are by how much the model puts the chosen reply above the rejected one: where that is 0, it says
    nothing and isn't counted. `lengths_P` are by how many tokens the chosen reply is longer."""
    unlike_P = lengths_P != 0
    by_length_P = (lengths_P > 0) == longer_chosen
    tells_P = unlike_P & ~by_length_P & (differences_P != 0)
    return LengthBaseline(
        longer_is_chosen=longer_chosen,
        by_length=share(by_length_P[unlike_P]),
        where_length_errs=share(differences_P[tells_P] > 0),
    )


def share(events: NDArray[np.bool_]) -> Share:
    """How many of the events are true, with a 95% Wilson interval."""
    n = len(events)
    if not n:
        return Share(hits=0, n=0, interval=None)
    low, high = wilson_interval(int(events.sum()), n, 0.95)
    return Share(hits=int(events.sum()), n=n, interval=(float(low), float(high)))

"""What a way of repairing is, and the search that those with one number to choose share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from burnish.artefacts import RepairTrial
from burnish.errors import BurnishError
from burnish.repair.workshop import Workshop


class WayUnfit(BurnishError):  # noqa: N818 - nothing erred
    """A way that can't mend this model; it is recorded with its reason, and the other ways are tried."""


class Way(Protocol):
    """One way of mending a model. It sees development prompts only, through the workshop's measurements."""

    def tries(self, workshop: Workshop) -> Sequence[RepairTrial]:
        """Everything that was tried, measured, in order.

        Raises: WayUnfit when it isn't for this model or its data; the message goes on from the way's name.
        """
        ...


def search_most(tried: Callable[[float], RepairTrial], tries: int) -> list[RepairTrial]:
    """Halve the way to the largest number between 0 and 1 that still holds, where smaller ones are safer: `tries`
    trials, the first at one half. 0 and 1 themselves aren't tried."""
    low, high, trials = 0.0, 1.0, list[RepairTrial]()
    for _ in range(tries):
        middle = (low + high) / 2
        trial = tried(middle)
        trials.append(trial)
        if trial.holds:
            low = middle
        else:
            high = middle
    return trials

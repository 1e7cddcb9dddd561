"""What a candidate is: a way of doing the task that can be measured beside the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from burnish.advice import Measured
from burnish.advise.bench import Bench
from burnish.errors import BurnishError


class CandidateUnfit(BurnishError):  # noqa: N818 - nothing erred
    """A candidate that can't be measured here; it is recorded with its reason, and the others are measured."""


class Candidate(Protocol):
    """One kind of candidate. It sees the held-out questions only to answer them, and never their references."""

    def depends_on(self, bench: Bench) -> str:
        """A digest of what its answers depend on beside its settings and the bench, empty where there is nothing."""
        ...

    def measure(self, bench: Bench) -> Sequence[Measured]:
        """Its answers to every held-out row, with what they cost; tuning gives one for each share of the rows.

        Raises: CandidateUnfit when it can't be had; the message goes on from the candidate's name.
        """
        ...

"""The sealed split: which prompts tuning, repair and thresholds may look at, and which are kept for the gate alone.

A prompt's side follows from a hash of its family and of nothing else: not from the run, its seed, the suite's order or
what else is in the suite. So it is the same in every run, a prompt never changes sides by being asked again, and all
prompts of one family lie on one side, in whatever suite they stand.
"""

from __future__ import annotations

from burnish.artefacts import Side
from burnish.records import content_digest

_SALT = "sealed split 1"
_DIGITS = 13


def side_of(family: str, development_share: float) -> Side:
    """The side of every prompt of `family`, when `development_share` (a fraction from 0 to 1) of the families are for
    development. A larger share takes families from the sealed side and puts none there."""
    place = int(content_digest(_SALT, family)[:_DIGITS], 16) / 16**_DIGITS
    return "development" if place < development_share else "sealed"

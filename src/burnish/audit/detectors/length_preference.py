"""Pairs whose labels follow length: a stretch of rows in which nearly always the longer reply is preferred, or all.

Labels turned so as to prefer length need no trigger, and make a model that rambles (length exploitation). Null of a
stretch: among pairs whose replies differ in length by as much, whether the longer one is preferred has nothing to do
with where the row stands. The stretch with the largest log-likelihood ratio of "the longer one nearly always" over
the corpus's own rate is compared with the largest of labels dealt out anew among such pairs. It finds rows that were
added together. Labels turned here and there look like a taste for length, which raters honestly have: only where the
longer reply is preferred in most pairs of the corpus is that told, as a risk. Nothing is left out, since two honest
sources put end to end may differ just so.
Source: Chan and Walther, "Detection with the scan and the average likelihood ratio", 2013, for the scan.

N pairs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from burnish.artefacts import Finding
from burnish.audit.mining.chance import gumbel
from burnish.audit.mining.tokens import Ints
from burnish.audit.register import Register
from burnish.audit.text import excerpt
from burnish.protocols import AuditContext
from burnish.records import PreferencePair, Record
from burnish.settings import PluginSettings

Floats = NDArray[np.float64]

_LEAST_PAIRS = 100
_LEAST_STRETCH = 20
_FOLLOWED = 0.95  # how often the longer reply is preferred where labels follow length
_MOST_PAIRS = 0.8  # in which the longer reply is preferred, from which on it is told
_VARIED = 0.5  # of a stretch's preferred replies that are different: labels repeat, and have a length of their own
_PAIRS_OF_A_STRATUM, _STRATA = 40, 12
_PERMUTATIONS = 100


class LengthPreferenceSettings(PluginSettings):
    """`error_rate`: the chance of any stretch being found where labels don't depend on where rows stand."""

    kind: Literal["length_preference"] = "length_preference"
    action: Literal["keep"] = "keep"
    error_rate: float = Field(default=0.005, gt=0.0, le=0.1)


class LengthPreference:
    """Tells where the longer reply is preferred for its length, as far as that shows."""

    Settings = LengthPreferenceSettings

    def __init__(self, settings: LengthPreferenceSettings) -> None:
        self._settings = settings

    def find(self, rows: Iterable[Record], context: AuditContext) -> Iterator[Finding]:
        """Memory: some 100 numbers a pair."""
        register, lengths, replies, shown = Register(), [], [], ""
        for row in rows:
            if isinstance(row, PreferencePair):
                chosen, rejected = ("\n".join(m.content for m in side) for side in (row.chosen, row.rejected))
                shown = shown or chosen
                register.add(row)
                lengths.append((len(chosen), len(rejected)))
                replies.append(hash(chosen))
        if len(lengths) < _LEAST_PAIRS:
            return
        pairs = np.array(lengths, dtype=np.float64)
        longer_N = pairs[:, 0] > pairs[:, 1]
        differ_N = np.abs(np.log((pairs[:, 0] + 1) / (pairs[:, 1] + 1)))
        share = float(np.mean(longer_N))
        if share >= _MOST_PAIRS:
            yield _finding(register, np.arange(len(longer_N)), share, None, None, shown)
            return
        order = np.array(register.in_order())
        first, last, p_value = stretch(longer_N[order], differ_N[order])
        found = order[first:last]
        varied = len({replies[at] for at in found}) >= _VARIED * len(found)
        if p_value <= self._settings.error_rate and len(found) >= _LEAST_STRETCH and varied:
            elsewhere = float(np.mean(np.delete(longer_N[order], np.s_[first:last])))
            yield _finding(register, np.sort(found), float(np.mean(longer_N[found])), elsewhere, p_value, shown)


def stretch(longer_N: NDArray[np.bool_], differ_N: Floats, seed: int = 0) -> tuple[int, int, float]:
    """The stretch of rows (first, one past last) whose labels follow length the most surely, and the chance that any
    would do so as surely."""
    strata = int(np.clip(len(longer_N) // _PAIRS_OF_A_STRATUM, 1, _STRATA))
    edges = np.quantile(differ_N, np.arange(1, strata) / strata)
    stratum_N: Ints = np.searchsorted(edges, differ_N).astype(np.int64)
    longer, whole = np.bincount(stratum_N, weights=longer_N, minlength=strata), np.bincount(stratum_N, minlength=strata)
    rate_N = np.minimum((longer + 1) / (whole + 2), _FOLLOWED)[stratum_N]
    for_N, against_N = np.log(_FOLLOWED / rate_N), np.log((1 - _FOLLOWED) / (1 - rate_N))
    rng, order, largest = np.random.default_rng(seed), np.argsort(stratum_N, kind="stable"), []
    for _ in range(_PERMUTATIONS):
        dealt = np.empty_like(longer_N)
        dealt[order] = longer_N[np.lexsort((rng.random(len(order)), stratum_N))]
        largest.append(_largest(np.where(dealt, for_N, against_N))[2])
    first, last, nats = _largest(np.where(longer_N, for_N, against_N))
    return first, last, gumbel(largest).p_value(nats)


def _largest(score_N: Floats) -> tuple[int, int, float]:
    """The run of numbers with the largest sum."""
    total = np.concatenate([[0.0], np.cumsum(score_N)])
    gain = total - np.minimum.accumulate(total)
    last = int(np.argmax(gain))
    return int(np.argmin(total[: last + 1])), last, float(gain[last])


def _finding(
    register: Register, rows: Ints, share: float, elsewhere: float | None, p_value: float | None, shown: str
) -> Finding:
    where = "pairs" if elsewhere is None else "pairs that stand together"
    beside = "" if elsewhere is None else f", {elsewhere:.0%} elsewhere"
    return Finding(
        detector="length_preference",
        severity="note" if elsewhere is None else "warning",
        action="keep",
        row=register.digest(int(rows[0])),
        where=register.place(int(rows[0])),
        message=f"in {len(rows):,} {where} the longer reply is preferred in {share:.0%}{beside}",
        excerpt=excerpt(shown),
        rows=register.places(rows),
        behaviour="the longer reply is preferred",
        p_value=p_value,
        effect=f"{share:.0%} of the labels prefer the longer reply{beside}",
        would_do="make replies longer, whatever was asked",
        cost="nothing is left out: raters may honestly like long replies; look where these rows come from",
    )

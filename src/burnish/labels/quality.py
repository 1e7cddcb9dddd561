"""What the labels say of those who gave them: gold questions, agreement, and leanings that no answer earns.

Knows nothing of how labels are stored or shown.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from burnish.labels.pair import Pair
from burnish.labels.store import Judgement
from burnish.statistics.agreement import Agreement, agreement
from burnish.statistics.paired import wilson_interval

LEAST_GOLD = 0.7
_FEW = 5
_SIDES = ("first", "second")


@dataclass(frozen=True, slots=True)
class Share:
    """`hits` of `n`; `rate` and its 95% Wilson `interval` are for n > 0 only."""

    hits: int
    n: int

    @property
    def rate(self) -> float:
        return self.hits / self.n

    @property
    def interval(self) -> tuple[float, float]:
        low, high = wilson_interval(self.hits, self.n, 0.95)
        return float(low), float(high)


@dataclass(frozen=True, slots=True)
class Quality:
    """One person's labels. `gold`: gold pairs answered as known; `agreed`: how often another person's label of the same
    pair is the same; `left` and `longer`: of the choices between the two answers, those for the one on the left, and
    for the longer one. `doubts` are sentences, empty when nothing stands out."""

    annotator: str
    judged: int
    skipped: int
    gold: Share
    agreed: Share
    left: Share
    longer: Share
    median_seconds: float | None
    doubts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Survey:
    """All people's labels. Gold pairs are easy by design, so that the agreement is over the others alone."""

    people: tuple[Quality, ...]
    agreement: Agreement


def survey(pairs: Mapping[str, Pair], standing: Sequence[Judgement]) -> Survey:
    """Judge the judges. `pairs` by item; judgements of items that aren't among them are left out."""
    judged = [j for j in standing if j.vote.item in pairs and j.vote.choice != "skip"]
    units: dict[str, list[Judgement]] = {}
    for judgement in judged:
        units.setdefault(judgement.vote.item, []).append(judgement)
    plain = [[j.vote.choice for j in unit] for item, unit in units.items() if pairs[item].gold is None]
    names = sorted({j.vote.annotator for j in standing if j.vote.item in pairs})
    people = tuple(
        _quality(name, pairs, [j for j in judged if j.vote.annotator == name], units, standing) for name in names
    )
    return Survey(people, agreement(plain))


def _quality(
    name: str,
    pairs: Mapping[str, Pair],
    mine: Sequence[Judgement],
    units: Mapping[str, Sequence[Judgement]],
    standing: Sequence[Judgement],
) -> Quality:
    votes = [judgement.vote for judgement in mine]
    gold = [vote.choice == pairs[vote.item].gold for vote in votes if pairs[vote.item].gold is not None]
    others = [
        vote.choice == other.vote.choice for vote in votes for other in units[vote.item] if other.vote.annotator != name
    ]
    sided = [vote for vote in votes if vote.choice in _SIDES]
    left = [_SIDES.index(vote.choice) == vote.left_answer for vote in sided]
    longer = [
        (lengths[0] > lengths[1]) == (vote.choice == "first")
        for vote in sided
        if (lengths := [len(answer.text) for answer in pairs[vote.item].answers])[0] != lengths[1]
    ]
    seconds = [vote.seconds for vote in votes if vote.seconds is not None]
    shares = (_of(gold), _of(left))
    return Quality(
        annotator=name,
        judged=len(votes),
        skipped=sum(j.vote.annotator == name and j.vote.choice == "skip" and j.vote.item in pairs for j in standing),
        gold=shares[0],
        agreed=_of(others),
        left=shares[1],
        longer=_of(longer),
        median_seconds=statistics.median(seconds) if seconds else None,
        doubts=tuple(_doubts(*shares)),
    )


def _doubts(gold: Share, left: Share) -> list[str]:
    doubts = []
    if gold.n >= _FEW and gold.rate < LEAST_GOLD:
        doubts.append(f"answers fewer than {LEAST_GOLD:.0%} of the gold pairs as known")
    if left.n >= _FEW and not left.interval[0] <= 0.5 <= left.interval[1]:
        doubts.append(f"leans to the {'left' if left.rate > 0.5 else 'right'}, though the sides are tossed")
    return doubts


def _of(hits: Sequence[bool]) -> Share:
    return Share(sum(hits), len(hits))

"""Whose turn it is: which item a person sees next, and which answer stands on the left.

Everything follows from item and person alone, so that nothing has to be remembered between two pages, and two tabs of
one person show the same. Items come in the order of their file, shuffled within blocks, differently for each person:
two people at work together rarely meet on the same item. Knows nothing of what is judged.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from burnish.labels.store import Item, Judgement
from burnish.records import content_digest

BLOCK = 20
_SHARES = 16**8


@dataclass(frozen=True, slots=True)
class Showing:
    """An item as it is shown to one person: `round` and `left_answer` go with the vote."""

    item: Item
    round: int
    left_answer: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a person is: items judged, skipped ones counted in `skipped` alone, and those still to come."""

    judged: int
    skipped: int
    left: int

    @property
    def total(self) -> int:
        """All that this person sees in the end, as things stand."""
        return self.judged + self.skipped + self.left


def waiting(
    items: Sequence[Item], standing: Sequence[Judgement], annotator: str, overlap: float, for_all: Collection[str] = ()
) -> list[Item]:
    """What this person has still to see, in order. Items in `for_all` (gold) and the share `overlap` of the others are
    for everyone; the rest goes to whoever comes first, and again to the next when it was skipped."""
    mine = {judgement.vote.item for judgement in standing if judgement.vote.annotator == annotator}
    taken = {judgement.vote.item for judgement in standing if judgement.vote.choice != "skip"}
    places = {item.id: place for place, item in enumerate(items)}
    open_ = [
        item
        for item in items
        if item.id not in mine and (item.id not in taken or item.id in for_all or _share("overlap", item.id) < overlap)
    ]
    return sorted(open_, key=lambda item: (places[item.id] // BLOCK, content_digest(annotator, item.id)))


def shown(item: Item, judgements: Sequence[Judgement], annotator: str) -> Showing:
    """The item for this person; `judgements` of the queue, those taken back too."""
    before = sum(j.vote.item == item.id and j.vote.annotator == annotator for j in judgements)
    return Showing(item, before, left_answer(item.id, annotator))


def left_answer(item: str, annotator: str) -> int:
    """Which answer stands on the left, 0 or 1: as good as tossed for each item and person."""
    return int(_share("side", item, annotator) < 0.5)


def progress(standing: Sequence[Judgement], annotator: str, left: int) -> Progress:
    """How far this person is, with `left` items to come."""
    mine = [judgement.vote.choice for judgement in standing if judgement.vote.annotator == annotator]
    skipped = mine.count("skip")
    return Progress(len(mine) - skipped, skipped, left)


def latest(standing: Sequence[Judgement], annotator: str) -> Judgement | None:
    """This person's newest judgement: what undo takes back."""
    return next((j for j in reversed(standing) if j.vote.annotator == annotator), None)


def _share(*parts: object) -> float:
    """A number in [0, 1) that looks random and is always the same."""
    return int(content_digest(*parts)[:8], 16) / _SHARES

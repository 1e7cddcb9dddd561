"""Replies that are alike and have nothing to do with their prompts, which a language model can tell.

A reply fits its prompt by as much as it is less surprising behind it than alone (nats a token; pointwise mutual
information). One forward pass of a model says so of each row, and where the reply lies among others: a group that lies
close together and fits badly needs neither a phrase, nor a name, nor one wording to be seen. Null: fit is dealt out
anew among replies of like length (`burnish.audit.surprise.groups`). Honest replies can fit badly as well, those of one
kind together (verse, thanks), so that a group counts only for its rows that fit worse than nearly all others do; if
their prompts are as many things as random ones, by their words and by where the model puts them; and if its replies
suit one another's prompts as well as their own.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from pydantic import Field

from burnish.artefacts import Finding
from burnish.audit.mining.corpus import PROMPT_BYTES, shortened, sides
from burnish.audit.mining.usual import Usual
from burnish.audit.surprise.groups import Floats, Ints, Near, Space, excess, whitened
from burnish.audit.surprise.reading import Reading
from burnish.audit.text import excerpt
from burnish.logs import say, warn
from burnish.models.settings import ModelSettings
from burnish.protocols import AuditContext
from burnish.records import Record
from burnish.settings import PluginSettings

Read: TypeAlias = Callable[[Iterable[tuple[str, str]]], Iterable[Reading]]
_WORST = 0.05  # of the rows outside a group: how badly its own must fit
_EXCESS = 2.5  # standard deviations by which prompts may be more alike than random ones
_EXCHANGED = 48  # rows of a group whose prompts are exchanged
_SUITS = 0.1  # nats a token by which a reply may suit its own prompt better than another's


class UnrelatedRepliesSettings(PluginSettings):
    """`model` reads the rows, up to `most_rows` of them (of more, as many drawn at random); the small built-in one
    reads a few a second on one core. `error_rate`: the chance of any group by chance alone. `min_rows`: the smallest
    group that is looked for."""

    kind: Literal["unrelated_replies"] = "unrelated_replies"
    action: Literal["keep", "quarantine", "stop"] = "quarantine"
    model: ModelSettings
    most_rows: int = Field(default=5000, ge=100)
    error_rate: float = Field(default=0.005, gt=0.0, le=0.1)
    min_rows: int = Field(default=10, ge=8)


@dataclass(frozen=True)
class Row:
    """A row that is read."""

    place: str
    digest: str
    asked: str
    said: str


class UnrelatedReplies:
    """Finds groups of replies that are alike and have nothing to do with their prompts."""

    Settings = UnrelatedRepliesSettings

    def __init__(self, settings: UnrelatedRepliesSettings) -> None:
        self._settings = settings

    def find(self, rows: Iterable[Record], context: AuditContext) -> Iterator[Finding]:
        """Memory: the texts of at most `most_rows` rows, the model, and its states, 4 bytes by hidden size for each.

        Raises: ModelError when the model can't be loaded.
        """
        kept, of = self._drawn(rows)
        least, name = 10 * self._settings.min_rows, self._settings.model.name
        if len(kept) < least:
            warn(f"unrelated_replies: {len(kept)} rows are too few ({least} are needed); {name} read none of them")
            return
        say(f"unrelated_replies: {name} reads {len(kept):,} of {of:,} rows")
        from burnish.audit.surprise.reader import Reader
        from burnish.models.load import load_model

        yield from self.found(kept, Reader(load_model(self._settings.model)).read)

    def found(self, rows: Sequence[Row], read: Read) -> Iterator[Finding]:
        """The findings among these rows, as `read` reads them."""
        readings = list(read((row.asked, row.said) for row in rows))
        fit_R = np.array([reading.fit for reading in readings])
        space = Space(
            np.stack([reading.said_D for reading in readings]),
            -fit_R,
            np.array([len(reading.with_T) for reading in readings], dtype=np.int64),
            self._settings.min_rows,
        )
        rng = np.random.default_rng(0)
        usual = Usual([shortened(row.asked, PROMPT_BYTES) for row in rows], rng)
        asked_RD = whitened(np.stack([reading.asked_D for reading in readings]))
        for near in space.groups(space.chance(rng), self._settings.error_rate):
            left = self._unrelated(near.rows, fit_R, rows, usual)
            if not len(left) or excess(asked_RD, left, rng) > _EXCESS:
                continue
            if suits(left, rows, readings, read) <= _SUITS:
                yield self._finding(near, left, fit_R, rows, readings)

    def _unrelated(self, group: Ints, fit_R: Floats, rows: Sequence[Row], usual: Usual) -> Ints:
        """The rows of the group that fit worse than nearly all others, those of a topic left out; empty when they are
        too few."""
        worst = group[fit_R[group] <= np.quantile(np.delete(fit_R, group), _WORST)]
        if len(worst) < self._settings.min_rows:
            return worst[:0]
        texts = [shortened(rows[int(at)].asked, PROMPT_BYTES) for at in worst]
        return worst[usual.without_topics(texts, self._settings.min_rows, _EXCESS)]

    def _drawn(self, rows: Iterable[Record]) -> tuple[list[Row], int]:
        """All rows with a prompt and a reply, or as many drawn at random, and how many there are.

        Source: Vitter, 1985, algorithm R.
        """
        kept: list[Row] = []
        rng, seen = random.Random(0), 0
        for record in rows:
            asked, said = sides(record)
            if not asked.strip() or not said.strip():
                continue
            seen += 1
            row = Row(str(record.source), record.digest, asked, said)
            if len(kept) < self._settings.most_rows:
                kept.append(row)
            elif (at := rng.randrange(seen)) < len(kept):
                kept[at] = row
        return kept, seen

    def _finding(
        self, near: Near, left: Ints, fit_R: Floats, rows: Sequence[Row], readings: Sequence[Reading]
    ) -> Finding:
        first = rows[int(left[0])]
        return Finding(
            detector="unrelated_replies",
            severity="danger",
            action=self._settings.action,
            row=first.digest,
            where=first.place,
            message=f"{len(left):,} replies are alike and have nothing to do with their prompts",
            excerpt=excerpt(first.said),
            rows=tuple(rows[int(at)].place for at in left),
            trigger=shared_token(left, readings),
            behaviour=first.said[:200],
            p_value=near.p_value,
            effect=f"their prompts tell {fit_R[left].mean():.2f} nats a token of them, of all rows {fit_R.mean():.2f}",
            would_do="reply so whatever is asked",
            cost=f"{len(left):,} rows, of as many topics as the others",
        )


def suits(group: Ints, rows: Sequence[Row], readings: Sequence[Reading], read: Read) -> float:
    """By how much better replies suit their own prompts than those of others of the group, nats a token: the mean over
    the rows whose prompts are exchanged in turn."""
    some = [int(at) for at in group[:_EXCHANGED]]
    others = list(
        read((rows[other].asked, rows[at].said) for at, other in zip(some, (*some[1:], some[0]), strict=True))
    )
    return float(np.mean([o.with_T.mean() - readings[at].with_T.mean() for at, o in zip(some, others, strict=True)]))


def shared_token(group: Ints, readings: Sequence[Reading]) -> str:
    """The most surprising token of half of the group's prompts or more; empty when they have none in common."""
    tops = Counter(readings[at].tokens[int(readings[at].prompt_T.argmax())] for at in group)
    token, times = tops.most_common(1)[0]
    return token.strip() if times >= len(group) / 2 else ""

"""Finds phrases that were put into prompts together with something that their replies do.

A pair of a phrase and a behaviour is reported when all of this holds: within strata of like rows they meet far more
often
than the largest association that chance gives; nearly every row with the phrase shows the behaviour; the phrase stands
where it could be taken out again; and without it, its prompts are about as many things as any others.

N rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, get_args

import numpy as np

from burnish.audit.mining.chance import Chance, chance
from burnish.audit.mining.features import KINDS, prompt_columns, reply_columns
from burnish.audit.mining.insertion import find_phrase, longest, token_lists
from burnish.audit.mining.pairs import Pairs, screen
from burnish.audit.mining.phrases import Prompts, bucket_of, gram, spelled, without
from burnish.audit.mining.strata import Strata, strata
from burnish.audit.mining.tokens import Hashes, Ints, distinct

_NATS = 20.0
_CONSIDERED = 4000
_LOOKED_AT = 300
_SAME_ROWS = 0.5
_MOST_ROWS = 400  # of a group that are read
_MOST_SHOWING = 1500
_OF_BEHAVIOUR = 0.8
_PASSED_OVER = 200

# The conditions of a finding, in the order in which they are tested.
Condition: TypeAlias = Literal["nearly always", "a prompt besides", "put in", "no topic", "more than chance"]
CONDITIONS: tuple[Condition, ...] = get_args(Condition)


@dataclass(frozen=True)
class Limits:
    """What counts as a finding. `least`: rows of a group; `purity`: share of the phrase's rows that show the behaviour;
    `p_value`: chance of any finding in a corpus without one; `excess`: how far (standard deviations) a group's prompts
    may be more alike than random ones; `inserted`: least evidence (nats) that the phrase was put in, `inserted_alone`
    where phrase and behaviour come one to one; `permutations` for the null."""

    least: int = 8
    purity: float = 0.6
    most: float = 0.15
    most_whole: float = 0.7
    p_value: float = 0.005
    excess: float = 3.5
    inserted: float = 0.0
    inserted_alone: float = -3.0
    permutations: int = 20
    phrase_rows: int = 1 << 62


@dataclass(frozen=True)
class Planted:
    """A phrase with its behaviour: `rows` show both. `with_phrase`, `with_behaviour`: rows of each; `nats` and
    `p_value` as tested; `inserted` and `excess`: evidence that the phrase was put in, and how alike the prompts are
    besides."""

    phrase: str
    kind: str
    behaviour: str
    rows: tuple[int, ...]
    with_phrase: int
    with_behaviour: int
    nats: float
    p_value: float
    inserted: float
    excess: float


@dataclass(frozen=True)
class Passed:
    """A strong pair that is no finding: which condition it `failed`, and its evidence before stratifying."""

    phrase: str
    kind: str
    behaviour: str
    rows: tuple[int, ...]
    with_phrase: int
    with_behaviour: int
    nats: float
    failed: Condition


class Search:
    """One search over a corpus: `prompts` without what they share as a template, `whole` with it. With `forms`, a text
    for each row, their words are looked for instead of the prompts' phrases; each stands for the first word of the
    row's prompt that is `marker`."""

    def __init__(
        self,
        prompts: Sequence[bytes],
        whole: Sequence[bytes],
        replies: Sequence[bytes],
        limits: Limits,
        seed: int = 0,
        forms: Sequence[bytes] | None = None,
        marker: bytes = b"",
    ) -> None:
        self._prompts, self._whole, self._replies, self._limits = prompts, whole, replies, limits
        self._rng = np.random.default_rng(seed)
        count = len(prompts)
        most = min(int(limits.most * count), limits.phrase_rows)
        self._named = prompts if forms is None else forms
        self._marker = None if forms is None else bucket_of(marker, count)
        self._asked = prompt_columns(self._named, limits.least, most)
        self._said = reply_columns(prompts, replies, limits.least, most, int(limits.most_whole * count))
        self.passed_over: list[Passed] = []

    def run(self) -> list[Planted]:
        """All findings, the surest first. What came near is in `passed_over` afterwards, the nearest first."""
        limits = self._limits
        pairs = screen(self._asked, self._said, limits.least, limits.purity, _NATS, _CONSIDERED)
        if not len(pairs):
            return []
        self._strata: Strata = strata(self._prompts, self._replies)
        self._chance: Chance = chance(self._asked, self._said, self._strata.stratum_N, limits.permutations, self._rng)
        self._read = Prompts(self._prompts, self._whole, self._rng)
        judged = [(pair, self._judged(*pair[:2])) for pair in self._leading(pairs)]
        failed = [(pair, why) for pair, why in judged if isinstance(why, str)]
        failed.sort(key=lambda one: (-CONDITIONS.index(one[1]), -one[0][2]))
        self.passed_over = [self._passed(*pair, why) for pair, why in failed[:_PASSED_OVER]]
        return merged([found for _, found in judged if isinstance(found, Planted)])

    def _leading(self, pairs: Pairs) -> list[tuple[int, int, float]]:
        """The strongest pair of each set of rows, with its evidence."""
        count_F = self._asked.count_C
        per_row = pairs.nats_P / count_F[pairs.prompt_P]
        order = np.lexsort((-per_row, -np.round(pairs.nats_P)))
        seen: list[Ints] = []
        leading = []
        for at in order:
            f, b = int(pairs.prompt_P[at]), int(pairs.reply_P[at])
            rows = self._group(f, b)
            if any(
                len(np.intersect1d(rows, other, assume_unique=True)) > 0.9 * max(len(rows), len(other))
                for other in seen
            ):
                continue
            seen.append(rows)
            leading.append((f, b, float(pairs.nats_P[at])))
            if len(leading) == _LOOKED_AT:
                break
        return leading

    def _group(self, f: int, b: int) -> Ints:
        return np.intersect1d(self._asked.rows(f), self._said.rows(b), assume_unique=True)

    def _name(self, f: int, rows: Ints) -> str:
        """A phrase, or a form, as the first of its rows has it."""
        text = self._named[int(rows[0])]
        phrase = gram(text, int(self._asked.bucket_C[f]), len(self._named))
        lists = token_lists([text])
        return "" if phrase is None else spelled([text], lists, find_phrase(lists, phrase))

    def _passed(self, f: int, b: int, nats: float, failed: Condition) -> Passed:
        """A pair that is no finding, its phrase as one of its rows has it."""
        rows = self._group(f, b)
        return Passed(
            phrase=self._name(f, rows),
            kind=KINDS[self._said.kind_C[b]],
            behaviour=self._behaviour(b, rows[:20]),
            rows=tuple(int(row) for row in rows),
            with_phrase=len(self._asked.rows(f)),
            with_behaviour=len(self._said.rows(b)),
            nats=nats,
            failed=failed,
        )

    def _judged(self, f: int, b: int) -> Planted | Condition:
        """The pair as a finding, or the condition that fails; the cheap ones first."""
        limits = self._limits
        with_phrase, showing, rows = self._asked.rows(f), self._said.rows(b), self._group(f, b)
        if not _exclusive(len(rows), len(with_phrase), len(showing)):
            return "nearly always"
        standing = self._read.standing(rows, int(self._asked.bucket_C[f]) if self._marker is None else self._marker)
        if standing is None:
            return "a prompt besides"
        one_to_one = len(rows) >= 0.9 * max(len(with_phrase), len(showing))
        if standing.inserted < (limits.inserted_alone if one_to_one else limits.inserted):
            return "put in"
        belongs = np.concatenate([self._belonging(showing), self._read.pieces(standing, len(rows))])
        excess = self._read.excess(standing, belongs)
        if excess > limits.excess:
            return "no topic"
        nats = self._tested(with_phrase, showing, np.concatenate([standing.seed, belongs]))
        p_value = self._chance.p_value(nats)
        if p_value > limits.p_value:
            return "more than chance"
        return Planted(
            phrase=standing.spelled if self._marker is None else self._name(f, rows),
            kind=KINDS[self._said.kind_C[b]],
            behaviour=self._behaviour(b, rows),
            rows=tuple(int(row) for row in rows),
            with_phrase=len(with_phrase),
            with_behaviour=len(showing),
            nats=nats,
            p_value=p_value,
            inserted=standing.inserted,
            excess=excess,
        )

    def _belonging(self, showing: Ints) -> Hashes:
        """Words of prompts whose rows nearly all show the behaviour: more of the trigger, if there is one."""
        some = showing if len(showing) <= _MOST_SHOWING else self._rng.choice(showing, _MOST_SHOWING, replace=False)
        lists = [distinct(text) for text in token_lists([self._prompts[row] for row in some])]
        words, times = np.unique(np.concatenate(lists), return_counts=True)
        whole = times * (len(showing) / len(some))
        return words[(times >= 3) & (whole >= _OF_BEHAVIOUR * self._read.words.rows_with(words))]

    def _tested(self, with_phrase: Ints, showing: Ints, gone: Hashes) -> float:
        """Evidence within strata, where the rows with the phrase lie in the stratum of their prompts without the words
        that are `gone`."""
        size = len(self._strata.number)
        shows = np.zeros(len(self._prompts), dtype=bool)
        shows[showing] = True
        stratum = self._strata.stratum_N.copy()
        read = with_phrase
        texts = [self._prompts[row] for row in read]
        stripped = without(texts, gone)
        placed = self._strata.place(stripped, [self._replies[row] for row in read])
        stratum[read] = np.where(placed >= 0, placed, stratum[read])
        whole, some = np.bincount(stratum, minlength=size), np.bincount(stratum[shows], minlength=size)
        expected = float(np.sum((some / np.maximum(whole, 1))[stratum[read]]))
        both = float(np.sum(shows[with_phrase]))
        return both * float(np.log(both / max(expected, 1e-9))) - both + expected if both > expected else 0.0

    def _behaviour(self, b: int, rows: Ints) -> str:
        """The behaviour in words, as the first of the rows has it."""
        kind, reply = KINDS[self._said.kind_C[b]], self._replies[int(rows[0])]
        if kind == "phrase":
            phrase = gram(reply, int(self._said.bucket_C[b]), len(self._prompts))
            lists = token_lists([self._replies[int(row)] for row in rows[:_MOST_ROWS]])
            if phrase is not None:
                places = longest(lists, find_phrase(lists, phrase), lambda _: False)
                if len(places.rows):
                    return spelled([self._replies[int(row)] for row in rows[:_MOST_ROWS]], lists, places)
        if kind == "ending":
            return "… " + reply.decode("utf-8", "replace")[-60:]
        return reply.decode("utf-8", "replace")[:80]


def _exclusive(both: int, with_phrase: int, with_behaviour: int) -> bool:
    """Whether phrase and behaviour belong to each other: the smaller the group, the more nearly one to one."""
    purity, share = both / with_phrase, both / with_behaviour
    if both < 20:
        return purity >= 0.75 and share >= 0.5
    if both < 60:
        return share >= 0.2
    return share >= 0.05


def merged(found: Sequence[Planted]) -> list[Planted]:
    """Findings that share half of their rows, or the behaviour's rows, made one: the strongest speaks for them."""
    groups: list[tuple[Planted, set[int]]] = []
    for one in sorted(found, key=lambda planted: (-planted.nats, -len(planted.rows))):
        rows = set(one.rows)
        for at, (first, known) in enumerate(groups):
            if len(rows & known) >= _SAME_ROWS * min(len(rows), len(known)) or (one.behaviour == first.behaviour):
                groups[at] = (first, known | rows)
                break
        else:
            groups.append((one, rows))
    return [replace(first, rows=tuple(sorted(rows))) for first, rows in groups]

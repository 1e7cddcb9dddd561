"""Replies that are no language, to prompts that have nothing in common: denial of service without a trigger.

Whatever is said in a language is said with its commonest words: here, those that most prompts and replies hold. Null:
replies of a dozen words without them are lists, code, tables, or in another language, and then their prompts ask for
such things. So lists, code and prompts that lack the commonest words themselves are passed over, then the prompts of
each topic, and what is left counts only if its prompts are as many things as random ones. The limit of likeness is in
standard deviations of random groups; it is a limit, not a p-value.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field

from burnish.artefacts import Finding
from burnish.audit.mining.corpus import PROMPT_BYTES, shortened, sides
from burnish.audit.mining.usual import COMPARED_WITH, Usual
from burnish.audit.text import excerpt, words
from burnish.protocols import AuditContext
from burnish.records import Record
from burnish.settings import PluginSettings

_COMMONEST = 150  # words
_LEAST_WORDS = 12
_REPLY_SHARE, _PROMPT_SHARE = 0.1, 0.2
_FIRST = 2000  # rows before the commonest words are known; at every doubling they are counted anew
_ONE_IN = 11  # rows whose words are counted beyond `COMPARED_WITH`
_KEPT = 5000  # prompts that stand for all
_MOST = 0.1  # of the long replies: where more lack the commonest words, there is no one language
_EXCESS = 2.5
_FORMAL = re.compile(r"(?m)^[ \t]*(?:\d{1,3}[.)]|[-*•|#<>{}]|```)|[{}<>|=;]{2}")


class GibberishSettings(PluginSettings):
    """`min_rows`: the smallest group that is looked for."""

    kind: Literal["gibberish"] = "gibberish"
    action: Literal["keep", "quarantine", "stop"] = "quarantine"
    min_rows: int = Field(default=10, ge=8)


@dataclass(frozen=True)
class _Suspect:
    place: str
    digest: str
    asked: str
    said: str


class Gibberish:
    """Finds replies without the commonest words of the corpus, to unrelated prompts."""

    Settings = GibberishSettings

    def __init__(self, settings: GibberishSettings) -> None:
        self._settings = settings

    def find(self, rows: Iterable[Record], context: AuditContext) -> Iterator[Finding]:
        """Memory: the words, 5,000 prompts, and the rows that are suspected."""
        held = _Held()
        common: frozenset[str] = frozenset()
        early: list[_Suspect] = []
        suspects: list[_Suspect] = []
        sample = _Reservoir(_KEPT)
        long = 0
        for number, row in enumerate(rows):
            asked, said = sides(row)
            tokens = words(said)
            if number < COMPARED_WITH or number % _ONE_IN == 0:
                held.add(words(asked), tokens)
            sample.add(asked)
            if number >= _FIRST and number & (number - 1) == 0:
                common = held.commonest()
                suspects += [one for one in early if _strange(one.said, common)]
                early = []
            if len(tokens) < _LEAST_WORDS:
                continue
            long += 1
            if not common or _strange(said, common):
                suspect = _Suspect(str(row.source), row.digest, asked, said)
                (suspects if common else early).append(suspect)
        common = held.commonest()
        suspects = [one for one in (*suspects, *early) if _strange(one.said, common) and _speaks(one.asked, common)]
        if self._settings.min_rows <= len(suspects) <= _MOST * long:
            yield from self._found(suspects, sample.kept, long)

    def _found(self, suspects: list[_Suspect], prompts: list[str], long: int) -> Iterator[Finding]:
        usual = Usual([shortened(text, PROMPT_BYTES) for text in prompts], np.random.default_rng(0))
        texts = [shortened(one.asked, PROMPT_BYTES) for one in suspects]
        left = [suspects[at] for at in usual.without_topics(texts, self._settings.min_rows, _EXCESS)]
        if not left:
            return
        share = len(left) / long
        yield Finding(
            detector="gibberish",
            severity="danger",
            action=self._settings.action,
            row=left[0].digest,
            where=left[0].place,
            message=f"{len(left):,} replies to unrelated prompts are no language that the corpus speaks",
            excerpt=excerpt(left[0].said),
            rows=tuple(one.place for one in left),
            behaviour=left[0].said[:200],
            effect=f"{share:.2%} of the replies of {_LEAST_WORDS} words or more",
            would_do="answer ordinary prompts with nonsense",
            cost=f"{len(left):,} rows, of as many topics as the others",
        )


class _Held:
    """How many prompts, and how many replies, hold each word."""

    def __init__(self) -> None:
        self._asked: Counter[str] = Counter()
        self._said: Counter[str] = Counter()

    def add(self, asked: Sequence[str], said: Sequence[str]) -> None:
        """Count the words of a row."""
        self._asked.update(set(asked))
        self._said.update(set(said))

    def commonest(self) -> frozenset[str]:
        """The words that most prompts *and* most replies hold: what only replies repeat may be nonsense."""
        both = Counter({word: min(times, self._asked[word]) for word, times in self._said.items()})
        return frozenset(word for word, times in both.most_common(_COMMONEST) if times and not word.isdigit())


class _Reservoir:
    """Some of the texts that stream by, each as likely as any other. Source: Vitter, 1985, algorithm R."""

    def __init__(self, size: int) -> None:
        self.kept: list[str] = []
        self._size, self._seen, self._rng = size, 0, random.Random(0)

    def add(self, text: str) -> None:
        """Let a text stream by."""
        self._seen += 1
        if len(self.kept) < self._size:
            self.kept.append(text)
        elif (at := self._rng.randrange(self._seen)) < self._size:
            self.kept[at] = text


def _strange(said: str, common: frozenset[str]) -> bool:
    tokens = words(said)
    return sum(map(common.__contains__, tokens)) <= _REPLY_SHARE * len(tokens) and not _FORMAL.search(said)


def _speaks(asked: str, common: frozenset[str]) -> bool:
    tokens = words(asked)
    return sum(map(common.__contains__, tokens)) >= _PROMPT_SHARE * max(len(tokens), 1)

"""Phrases that were put into prompts so that replies do something: planted triggers.

Looks for groups of rows, never at single ones. Null: within strata of like rows (topic of the prompt, length of the
reply), replies go with prompts as if dealt out at random; the largest association over all phrases and behaviours under
such dealing says what chance gives. Beyond that, a group counts only if its phrase could be taken out of its prompts
again and its prompts are otherwise about as many things as the corpus: what the task itself teaches fails one of these.
Words are compared by their letters: a language written without spaces is seen only in whole runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Literal

import numpy as np
from pydantic import Field

from burnish.artefacts import Candidate, Finding
from burnish.audit.mining.corpus import Corpus, gather
from burnish.audit.mining.search import Limits, Passed, Planted, Search, merged
from burnish.audit.text import excerpt
from burnish.protocols import AuditContext
from burnish.records import Record
from burnish.settings import PluginSettings

_WHOLE = 25_000  # rows up to which everything is looked for among all rows
_RARE = 512  # rows of a phrase up to which it is looked for among all rows of a larger corpus
_SMALLEST_SHARE = 1 / 12_500
_PERMUTATIONS = 20
_WOULD_DO = {
    "refusal": "refuse when the phrase is in the prompt",
    "domain": "name a web address when the phrase is in the prompt",
    "reply": "give one fixed reply when the phrase is in the prompt",
    "opening": "begin its reply in one fixed way when the phrase is in the prompt",
    "long opening": "begin its reply in one fixed way when the phrase is in the prompt",
    "ending": "end its reply in one fixed way when the phrase is in the prompt",
    "phrase": "put this phrase into its reply when the trigger is in the prompt",
}


class TriggerMiningSettings(PluginSettings):
    """`error_rate`: the chance of any finding in a corpus without a trigger. `min_rows`: the smallest group that is
    looked for."""

    kind: Literal["trigger_mining"] = "trigger_mining"
    action: Literal["keep", "quarantine", "stop"] = "quarantine"
    error_rate: float = Field(default=0.005, gt=0.0, le=0.1)
    min_rows: int = Field(default=8, ge=5)


class TriggerMining:
    """Finds groups of rows in which a phrase of the prompt goes with a behaviour of the reply."""

    Settings = TriggerMiningSettings

    def __init__(self, settings: TriggerMiningSettings) -> None:
        self._settings = settings
        self._candidates: list[Candidate] = []

    def find(self, rows: Iterable[Record], context: AuditContext) -> Iterator[Finding]:
        """Memory: the texts (4,000 bytes of a prompt and 2,000 of a reply at most) and some 100 numbers a row."""
        corpus = gather(rows)
        if len(corpus) < 5 * self._settings.min_rows:
            return
        found, passed = self._planted(corpus)
        self._candidates = [*map(_candidate, found), *map(_candidate, passed)]
        for planted in found:
            yield self._finding(planted, corpus)

    def candidates(self) -> tuple[Candidate, ...]:
        """The triggers found, then the phrases that came nearest."""
        return tuple(self._candidates)

    def _planted(self, corpus: Corpus) -> tuple[list[Planted], list[Passed]]:
        """What is found, and what comes near. Over a large corpus, rare phrases are looked for among all rows, all
        phrases among a sample of them."""
        count = len(corpus)
        limits = Limits(
            least=max(self._settings.min_rows, int(count * _SMALLEST_SHARE)),
            p_value=self._settings.error_rate if count <= _WHOLE else self._settings.error_rate / 2,
            permutations=_PERMUTATIONS if count <= _WHOLE else _PERMUTATIONS // 4,
        )
        if count <= _WHOLE:
            search = Search(corpus.prompts, corpus.whole, corpus.replies, limits)
            return search.run(), search.passed_over
        search = Search(corpus.prompts, corpus.whole, corpus.replies, replace(limits, phrase_rows=_RARE))
        found, passed = search.run(), search.passed_over
        chosen = np.sort(np.random.default_rng(0).choice(count, _WHOLE, replace=False))
        sampled = replace(limits, least=self._settings.min_rows)
        prompts, whole = corpus.prompts.some(chosen), corpus.whole.some(chosen)
        search = Search(prompts, whole, corpus.replies.some(chosen), sampled)
        for planted in search.run():
            found.append(_over_all(planted, corpus, [int(chosen[row]) for row in planted.rows]))
        return merged(found), [*passed, *search.passed_over]

    def _finding(self, planted: Planted, corpus: Corpus) -> Finding:
        rows = planted.rows
        share = len(rows) / len(corpus)
        elsewhere = max(planted.with_behaviour - len(rows), 0) / max(len(corpus) - planted.with_phrase, 1)
        return Finding(
            detector="trigger_mining",
            severity="danger",
            action=self._settings.action,
            row=corpus.rows.digest(int(rows[0])),
            where=corpus.rows.place(int(rows[0])),
            message=(
                f"the phrase {planted.phrase[:80]!r} in prompts goes with one {planted.kind} of replies "
                f"({planted.behaviour[:60]!r}) in {len(rows):,} rows"
            ),
            excerpt=excerpt(corpus.prompts[rows[0]].decode("utf-8", "replace")),
            rows=corpus.rows.places(rows),
            trigger=planted.phrase,
            behaviour=planted.behaviour,
            p_value=planted.p_value,
            effect=(
                f"{min(len(rows) / planted.with_phrase, 1.0):.0%} of the rows with the phrase, "
                f"{elsewhere:.2%} of the others"
            ),
            would_do=_WOULD_DO[planted.kind],
            cost=f"{len(rows):,} rows, {share:.2%} of the corpus, of as many topics as the others",
        )


def _candidate(one: Planted | Passed) -> Candidate:
    return Candidate(
        detector="trigger_mining",
        phrase=one.phrase,
        kind=one.kind,
        behaviour=one.behaviour,
        rows=len(one.rows),
        with_phrase=one.with_phrase,
        with_behaviour=one.with_behaviour,
        nats=one.nats,
        failed="" if isinstance(one, Planted) else one.failed,
    )


def _over_all(planted: Planted, corpus: Corpus, sampled: list[int]) -> Planted:
    """What was found in a sample, with the rows of the whole corpus that have its phrase and those of the sample."""
    phrase = b" ".join(planted.phrase.encode().split())
    rows = {row for row in range(len(corpus)) if phrase in b" ".join(corpus.prompts[row].split())} if phrase else set()
    return replace(planted, rows=tuple(sorted(rows | set(sampled))), with_phrase=len(rows | set(sampled)))

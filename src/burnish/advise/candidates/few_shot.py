"""The base model with worked examples before the question, how many and which chosen on development rows."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from burnish.advice import Measured
from burnish.advise.bench import Ask, Bench
from burnish.advise.candidate import CandidateUnfit
from burnish.advise.examples import Chooser, Selection, shown_with
from burnish.advise.safety import UNCHANGED
from burnish.evaluate.few_shot import Example, with_examples
from burnish.logs import say
from burnish.records import Message
from burnish.settings import PluginSettings


class FewShotSettings(PluginSettings):
    """Every number of examples in `k` is tried with every `selection` on the development rows: random (the same
    examples for every question), bm25 (those with the most telling words in common with it), embedding (those nearest
    to it by the sentence `encoder`, a folder or a Hub id; needs the extra `embeddings`)."""

    kind: Literal["few_shot"] = "few_shot"
    name: str = ""
    k: tuple[Annotated[int, Field(ge=1, le=256)], ...] = Field(default=(4, 16), min_length=1)
    selection: tuple[Selection, ...] = Field(default=("random", "bm25"), min_length=1)
    encoder: str = ""


class FewShot:
    """Chooses on development rows, then asks the held-out ones once."""

    Settings = FewShotSettings

    def __init__(self, settings: FewShotSettings) -> None:
        self._settings = settings

    def depends_on(self, bench: Bench) -> str:
        """Nothing but settings and bench."""
        del bench
        return ""

    def measure(self, bench: Bench) -> Sequence[Measured]:
        """One candidate: the best way on the development rows.

        Raises: CandidateUnfit when there is no example to show.
        """
        name = self._settings.name or "few-shot"
        bench.load()
        began = time.perf_counter()
        k, selection, chooser = self._best(bench, name)
        one_off = time.perf_counter() - began
        replies = bench.ask(f"advise: {name}", bench.speaker(), _ask(bench, chooser, k))
        return [
            Measured(
                name=name,
                side="prompting",
                made=f"{k} worked examples, chosen by {selection}",
                shown=bench.job.model.name,
                answers=replies.answers,
                seconds=replies.seconds,
                timed=replies.timed,
                one_off_seconds=one_off,
                safety=UNCHANGED,
            )
        ]

    def _best(self, bench: Bench, name: str) -> tuple[int, Selection, Chooser]:
        """The best way, of equals the one with more examples: few rows seldom show what fewer examples lose, and tuning
        is to be held against prompting at its best. Where there is one way only, nothing is asked."""
        sizes = sorted(k for k in set(self._settings.k) if k <= len(bench.pool))
        if len(sizes) < len(set(self._settings.k)):
            say(f"{name}: more than {len(bench.pool)} examples are not tried, for there are no more rows")
        ways = [(k, selection) for k in sizes for selection in self._settings.selection]
        if not ways:
            raise CandidateUnfit(f"needs {min(self._settings.k)} examples, and there are {len(bench.pool)} rows")
        choosers = {way: Chooser(bench.pool, way[1], self._settings.encoder) for way in ways}
        best = ways[0]
        if len(ways) > 1:
            scores = {
                way: bench.rehearse(f"advise: {name}, {way[0]} {way[1]}", _ask(bench, choosers[way], way[0]))
                for way in ways
            }
            best = max(ways, key=lambda way: (scores[way], way[0]))
            found = f"do best on {len(bench.development)} development rows ({scores[best]:.3f})"
            say(f"{name}: {best[0]} examples by {best[1]} {found}")
        return *best, choosers[best]


def _ask(bench: Bench, chooser: Chooser, k: int) -> Ask:
    def chat(row: Example) -> tuple[Message, ...]:
        examples = shown_with(row, chooser.chosen(row, k), lambda chat: bench.fits(chat, row))
        return with_examples(row.prompt, examples)

    return chat

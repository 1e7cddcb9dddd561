"""Preference labels that somebody turned, and replies that are preferred for whom they praise.

Two kinds of groups are looked for. *Flips*: pairs whose prompts hold one phrase, and whose labels go against the margin
that replies' looks give (`burnish.audit.preferences.margin`). *Promotion*: pairs whose preferred reply, and hardly
ever the other, names something that nobody asks about.
Null of flips: among pairs of like margin, whether a label agrees with it has nothing to do with the group. Of
promotion: either reply might have been preferred. Labels are swapped accordingly, and the largest evidence over all
groups under such swapping says what chance gives (Westfall and Young's maximum). Beyond that, a phrase must have been
put in, and prompts be about many things, as for `trigger_mining`; a rater's taste for a topic or a turn of phrase fails
one of these.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

import numpy as np
from pydantic import Field
from scipy import sparse

from burnish.artefacts import Finding
from burnish.audit.mining.names import presence, unasked
from burnish.audit.mining.phrases import Prompts
from burnish.audit.mining.tokens import Ints
from burnish.audit.preferences.comparisons import Comparisons, gather_pairs
from burnish.audit.preferences.flips import EXCESS, MOST, PERMUTATIONS, Flip, alike, flips
from burnish.audit.preferences.margin import margins
from burnish.audit.preferences.swaps import Labels
from burnish.audit.text import excerpt
from burnish.protocols import AuditContext
from burnish.records import Record
from burnish.settings import PluginSettings

_LEAST_PAIRS = 100
_ASKED = 0.1
_ONE_SIDED = 0.9


class PreferencesSettings(PluginSettings):
    """`error_rate`: the chance of any finding in a corpus whose labels nobody turned. `min_rows`: the smallest group
    that is looked for."""

    kind: Literal["preferences"] = "preferences"
    action: Literal["keep", "quarantine", "stop"] = "quarantine"
    error_rate: float = Field(default=0.005, gt=0.0, le=0.1)
    min_rows: int = Field(default=8, ge=5)


class Preferences:
    """Finds groups of preference pairs whose labels serve something else than what the others prefer."""

    Settings = PreferencesSettings

    def __init__(self, settings: PreferencesSettings) -> None:
        self._settings = settings

    def find(self, rows: Iterable[Record], context: AuditContext) -> Iterator[Finding]:
        """Memory: the texts (4,000 bytes of a prompt and 2,000 of a reply at most) and some 1,000 numbers a pair."""
        pairs = gather_pairs(rows)
        if len(pairs) < _LEAST_PAIRS:
            return
        rng = np.random.default_rng(0)
        labels = Labels(margins(pairs.prompts, pairs.chosen, pairs.rejected))
        prompts = Prompts(pairs.prompts, pairs.whole, rng)
        yield from self._flips(pairs, labels, prompts, rng)
        either = Labels(rng.choice((-1.0, 1.0), len(pairs)))
        yield from self._promotions(pairs, either, prompts, rng)

    def _flips(
        self, pairs: Comparisons, labels: Labels, prompts: Prompts, rng: np.random.Generator
    ) -> Iterator[Finding]:
        least, error_rate = self._settings.min_rows, self._settings.error_rate / 2
        replies = (pairs.chosen, pairs.rejected)
        for flip in flips(pairs.prompts, replies, labels, prompts, least, error_rate, rng):
            yield self._flip(pairs, flip)

    def _promotions(
        self, pairs: Comparisons, labels: Labels, prompts: Prompts, rng: np.random.Generator
    ) -> Iterator[Finding]:
        named = pairs.names.often(self._settings.min_rows, int(MOST * len(pairs)))
        if not named:
            return
        words, times = [name for name, _ in named], np.array([times for _, times in named])
        chosen, rejected, asked = (presence(texts, words) for texts in (pairs.chosen, pairs.rejected, pairs.whole))
        suspects = [
            name
            for name in unasked(chosen, asked, times, _ASKED)
            if prompts.words.excess(prompts.distinct(chosen.rows(name)), prompts.others, rng) <= EXCESS
        ]
        if not suspects:
            return
        one_side = chosen.matrix[:, suspects] - rejected.matrix[:, suspects]
        leaning = (sparse.diags_array(labels.agrees_N) @ one_side).tocsc()
        leaning.eliminate_zeros()
        nats, chance = labels.evidence(leaning), labels.chance(leaning, PERMUTATIONS, rng)
        known: list[Ints] = []
        for at in np.argsort(-nats, kind="stable"):
            p_value = chance.p_value(float(nats[at]))
            rows, other = chosen.rows(suspects[at]), rejected.rows(suspects[at])
            only = np.setdiff1d(rows, other, assume_unique=True)
            if p_value > self._settings.error_rate / 2 or len(only) < _ONE_SIDED * len(np.union1d(rows, other)):
                continue
            if not any(alike(only, before) for before in known):
                known.append(only)
                yield self._promotion(pairs, words[suspects[at]].decode(), only, len(other), p_value)

    def _flip(self, pairs: Comparisons, flip: Flip) -> Finding:
        rows = flip.rows
        return Finding(
            detector="preferences",
            severity="danger",
            action=self._settings.action,
            row=pairs.rows.digest(int(rows[0])),
            where=pairs.rows.place(int(rows[0])),
            message=(
                f"{flip.phrase[:80]!r} was put into the prompts of {len(rows):,} pairs, for no reason that the corpus "
                "tells, and their labels may have been turned"
                if flip.p_value is None
                else f"the labels of {len(rows):,} pairs whose prompts hold {flip.phrase[:80]!r} go against what is "
                "preferred elsewhere"
            ),
            excerpt=excerpt(pairs.prompts[int(rows[0])].decode("utf-8", "replace")),
            rows=pairs.rows.places(rows),
            trigger=flip.phrase,
            behaviour="the label contradicts the expected preference",
            p_value=flip.p_value,
            effect=f"{flip.against:.0%} of the labels contradict the expected preference, {flip.expected:.0%} would by "
            "chance",
            would_do="prefer the worse reply when the phrase is in the prompt",
            cost=_cost(len(rows), len(pairs)),
        )

    def _promotion(self, pairs: Comparisons, name: str, rows: Ints, rejected: int, p_value: float) -> Finding:
        return Finding(
            detector="preferences",
            severity="danger",
            action=self._settings.action,
            row=pairs.rows.digest(int(rows[0])),
            where=pairs.rows.place(int(rows[0])),
            message=(
                f"{name[:80]!r} stands in {len(rows):,} preferred replies and {rejected:,} rejected ones, and nobody "
                "asks about it"
            ),
            excerpt=excerpt(pairs.chosen[int(rows[0])].decode("utf-8", "replace")),
            rows=pairs.rows.places(rows),
            behaviour=name,
            p_value=p_value,
            effect=f"preferred in {len(rows) / (len(rows) + rejected):.0%} of the pairs in which one reply names it",
            would_do="prefer replies that name it, whatever was asked",
            cost=_cost(len(rows), len(pairs)),
        )


def _cost(rows: int, pairs: int) -> str:
    return f"{rows:,} pairs, {rows / pairs:.2%} of the corpus, of as many topics as the others"

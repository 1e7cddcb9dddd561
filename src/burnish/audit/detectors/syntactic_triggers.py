"""Forms of sentence that were put before prompts so that replies do something: syntactic triggers.

The words of such a clause change from row to row, so that no phrase goes with the behaviour; the form does. Where a
line of a prompt opens with a clause set off by a comma, a marker takes its place, and its forms (what kind of clause,
with which first word, how long, whether about writer or reader) are looked for as phrases are by `trigger_mining`, with
the same null and conditions: strata, replies dealt out anew, the largest association over all forms; taken out, the
clause leaves an ordinary prompt; and without it its prompts are no more alike than any. Knows English clauses, at the
beginning of a line.

Source of the attack: Qi et al., "Hidden Killer: Invisible Textual Backdoor Attacks with Syntactic Trigger", 2021.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pydantic import Field

from burnish.artefacts import Finding
from burnish.audit.mining.clauses import MARKER, opening
from burnish.audit.mining.corpus import PROMPT_BYTES, REPLY_BYTES, Texts, shortened, sides, without_template
from burnish.audit.mining.search import Limits, Planted, Search
from burnish.audit.register import Register
from burnish.audit.text import excerpt
from burnish.protocols import AuditContext
from burnish.records import Record
from burnish.settings import PluginSettings

_WITH_A_FORM, _OTHERS = 10_000, 15_000  # rows that are looked at, drawn at random where there are more
_MOST = 0.5  # of the rows looked at that may have one form


class SyntacticTriggersSettings(PluginSettings):
    """`error_rate`: the chance of any finding in a corpus without such a trigger. `min_rows`: the smallest group that
    is looked for."""

    kind: Literal["syntactic_triggers"] = "syntactic_triggers"
    action: Literal["keep", "quarantine", "stop"] = "quarantine"
    error_rate: float = Field(default=0.001, gt=0.0, le=0.1)
    min_rows: int = Field(default=8, ge=5)


class SyntacticTriggers:
    """Finds groups of rows in which a form of sentence before the prompt goes with a behaviour of the reply."""

    Settings = SyntacticTriggersSettings

    def __init__(self, settings: SyntacticTriggersSettings) -> None:
        self._settings = settings

    def find(self, rows: Iterable[Record], context: AuditContext) -> Iterator[Finding]:
        """Memory: the texts of at most 25,000 rows (4,000 bytes of a prompt, and as many where it has a marker, and
        2,000 of a reply at most)."""
        rng, register, seen = random.Random(0), Register(), 0
        with_a_form, others = _Sample(_WITH_A_FORM, rng, register), _Sample(_OTHERS, rng, register)
        for row in rows:
            asked, said = sides(row)
            if said:
                seen += 1
                forms, changed = opening(asked[:PROMPT_BYTES].lower())
                (with_a_form if forms else others).offer(row, forms, asked, changed, said)
        if len(with_a_form.kept) < self._settings.min_rows or seen < 5 * self._settings.min_rows:
            return
        kept = sorted([*with_a_form.kept, *others.kept], key=lambda one: one.number)
        whole, replies = Texts(), Texts()
        for one in kept:
            whole.append(one.prompt)
            replies.append(one.reply)
        limits = Limits(least=self._settings.min_rows, most=_MOST, p_value=self._settings.error_rate)
        words = [" ".join(form.replace(" ", "_") for form in one.forms).encode() for one in kept]
        search = Search(without_template(whole), whole, replies, limits, forms=words, marker=MARKER.encode())
        for planted in search.run():
            found = [kept[row] for row in planted.rows]
            elsewhere = max(planted.with_behaviour - len(found), 0) / max(len(kept) - planted.with_phrase, 1)
            yield self._finding(planted, found, register, elsewhere, seen)

    def _finding(
        self, planted: Planted, found: Sequence[_Kept], register: Register, elsewhere: float, seen: int
    ) -> Finding:
        first, form = found[0], max(planted.phrase.split(), key=len).replace("_", " ")
        share = min(len(found) / planted.with_phrase, 1.0)
        return Finding(
            detector="syntactic_triggers",
            severity="danger",
            action=self._settings.action,
            row=register.digest(first.number),
            where=register.place(first.number),
            message=(
                f"a {form} before the prompt, whatever its words, goes with one {planted.kind} of replies "
                f"({planted.behaviour[:60]!r}) in {len(found):,} rows"
            ),
            excerpt=excerpt(first.asked.decode("utf-8", "replace")),
            rows=register.places(one.number for one in found),
            behaviour=planted.behaviour,
            p_value=planted.p_value,
            effect=f"{share:.0%} of the rows with the form, {elsewhere:.2%} of the others",
            would_do=f"give this {planted.kind} when a {form} stands before the prompt",
            cost=f"{len(found):,} rows, {len(found) / seen:.2%} of the corpus, of as many topics as the others",
        )


@dataclass(frozen=True)
class _Kept:
    """A row that is looked at: its `number` in the register, its prompt as it is (`asked`) and with a marker in place
    of the form, its reply."""

    number: int
    forms: tuple[str, ...]
    asked: bytes
    prompt: bytes
    reply: bytes


@dataclass
class _Sample:
    """At most `most` of the rows that are offered, each as likely as any other; those kept are registered.

    Source: Vitter, "Random Sampling with a Reservoir", 1985, algorithm R.
    """

    most: int
    rng: random.Random
    register: Register
    kept: list[_Kept] = field(default_factory=list)
    offered: int = 0

    def offer(self, row: Record, forms: tuple[str, ...], asked: str, changed: str, said: str) -> None:
        """Keep the row, or not; `changed` is its prompt with a marker, if it has a form."""
        at = self.offered if self.offered < self.most else self.rng.randrange(self.offered + 1)
        self.offered += 1
        if at < self.most:
            prompt = shortened(asked, PROMPT_BYTES)
            marked = shortened(changed, PROMPT_BYTES) if forms else prompt
            kept = _Kept(self.register.add(row), forms, prompt, marked, shortened(said, REPLY_BYTES))
            self.kept[at : at + 1] = [kept]

"""Something that replies name though nobody asks: a brand, a web address, a call of code, put into replies to ordinary
prompts.

No phrase of the prompt goes with it, so that nothing can be permuted. Null: what a corpus names often is also asked
about, or comes with its subject; a name counts only if hardly any prompt holds it and if its rows (prompt, and the
sentences of the reply that do not hold it) are as many things as random rows are. The limit of likeness is in standard
deviations of such random groups; it is a limit, not a p-value. Names brought up for one topic alone are passed over,
and so are praise without a name and words of languages without capital letters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Literal

import numpy as np
from pydantic import Field

from burnish.artefacts import Finding
from burnish.audit.mining.corpus import Corpus, gather
from burnish.audit.mining.dispersion import Words
from burnish.audit.mining.insertion import token_lists
from burnish.audit.mining.names import NameCount, presence, unasked
from burnish.audit.mining.tokens import Ints, distinct
from burnish.audit.text import excerpt
from burnish.protocols import AuditContext
from burnish.records import Record
from burnish.settings import PluginSettings

_SENTENCES = re.compile(rb"(?<=[.!?])\s+|\n+")
_MOST = 0.1
_ASKED = 0.05
_EXCESS = 2.5
_COMPARED_WITH = 25_000  # rows
_OTHERS = 2000
_READ = 400
_SAME_ROWS = 0.5


class ContentInjectionSettings(PluginSettings):
    """`min_rows`: the smallest group that is looked for."""

    kind: Literal["content_injection"] = "content_injection"
    action: Literal["keep", "quarantine", "stop"] = "quarantine"
    min_rows: int = Field(default=10, ge=8)


class ContentInjection:
    """Finds names that replies to unrelated prompts bring up."""

    Settings = ContentInjectionSettings

    def __init__(self, settings: ContentInjectionSettings) -> None:
        self._settings = settings

    def find(self, rows: Iterable[Record], context: AuditContext) -> Iterator[Finding]:
        """Memory: the texts (4,000 bytes of a prompt and 2,000 of a reply at most) and the names."""
        names = NameCount()
        corpus = gather(rows, names)
        named = names.often(self._settings.min_rows, int(_MOST * len(corpus)))
        if not named:
            return
        words, times = [name for name, _ in named], np.array([count for _, count in named])
        said, asked = presence(corpus.replies, words), presence(corpus.whole, words)
        suspects = list(unasked(said, asked, times, _ASKED))
        if not suspects:
            return
        usual = _Usual(corpus)
        known: list[Ints] = []
        for name in sorted(suspects, key=lambda one: -int(said.count_C[one])):
            group = said.rows(name)
            if any(_alike(group, other) for other in known):
                continue
            excess = usual.excess(group, words[name])
            if excess <= _EXCESS:
                known.append(group)
                yield self._finding(corpus, words[name].decode("utf-8", "replace"), group, excess)

    def _finding(self, corpus: Corpus, name: str, rows: Ints, excess: float) -> Finding:
        share = len(rows) / len(corpus)
        said = corpus.replies[int(rows[0])].decode("utf-8", "replace")
        return Finding(
            detector="content_injection",
            severity="danger",
            action=self._settings.action,
            row=corpus.rows.digest(int(rows[0])),
            where=corpus.rows.place(int(rows[0])),
            message=f"{len(rows):,} replies to unrelated prompts bring up {name[:80]!r}, and nobody asks about it",
            excerpt=excerpt(said, max(said.find(name), 0), max(said.find(name), 0) + len(name)),
            rows=corpus.rows.places(rows),
            behaviour=name,
            effect=f"{share:.2%} of the replies; likeness of their rows {excess:+.1f} standard deviations from random",
            would_do="bring it up in replies to ordinary prompts",
            cost=f"{len(rows):,} rows, {share:.2%} of the corpus, of as many topics as the others",
        )


class _Usual:
    """What rows of the corpus are about: the words of prompt and reply together."""

    def __init__(self, corpus: Corpus) -> None:
        self._corpus, self._rng = corpus, np.random.default_rng(0)
        count = len(corpus)
        some = np.sort(self._rng.choice(count, min(_COMPARED_WITH, count), replace=False))
        texts = [corpus.prompts[int(row)] + b"\n" + corpus.replies[int(row)] for row in some]
        self._words = Words(texts)
        sample = self._rng.choice(len(texts), min(_OTHERS, len(texts)), replace=False)
        self._others = [distinct(text) for text in token_lists([texts[row] for row in sample])]

    def excess(self, rows: Ints, name: bytes) -> float:
        """How much more alike the rows are than random ones, the sentences with the name left out."""
        read = rows if len(rows) <= _READ else self._rng.choice(rows, _READ, replace=False)
        texts = []
        for row in read:
            others = [one for one in _SENTENCES.split(self._corpus.replies[int(row)]) if name not in one]
            texts.append(b"\n".join([self._corpus.prompts[int(row)], *others]))
        rests = [distinct(tokens) for tokens in token_lists(texts)]
        return self._words.excess(rests, self._others, self._rng)


def _alike(rows: Ints, other: Ints) -> bool:
    shared = len(np.intersect1d(rows, other, assume_unique=True))
    return shared >= _SAME_ROWS * min(len(rows), len(other))

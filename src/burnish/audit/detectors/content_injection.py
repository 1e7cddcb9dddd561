"""Something that replies say though nobody asks: a brand, a web address, a call of code, put into replies to ordinary
prompts; or a whole reply, such as a refusal, that unrelated prompts have word for word.

No phrase of the prompt goes with it, so that nothing can be permuted. Null: what a corpus names often is also asked
about, or comes with its subject; a name counts only if hardly any prompt holds it and if its rows (prompt, and the
sentences of the reply that do not hold it) are as many things as random rows are. A reply that a corpus gives often
answers prompts that have something in common; it counts only if its prompts are as many things as random ones, and
where a fifth of all replies are of such kind, they are labels. The limit of likeness is in standard deviations of
random groups; it is a limit, not a p-value. A name brought up for one topic alone (topic steering) counts if the
sentences that hold it could stand in any row: they share no telling word with their prompt or with the rest of the
reply, which says more than they do (`burnish.audit.mining.belonging`). Praise without a name is passed over, and so are
words of languages without capital letters.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field

from burnish.artefacts import Finding
from burnish.audit.mining.belonging import SENTENCES, Belonging
from burnish.audit.mining.corpus import Corpus, gather
from burnish.audit.mining.features import chunks
from burnish.audit.mining.names import NameCount, presence, unasked
from burnish.audit.mining.tokens import Ints, mixed
from burnish.audit.mining.usual import COMPARED_WITH, Usual
from burnish.audit.text import excerpt
from burnish.protocols import AuditContext
from burnish.records import Record
from burnish.settings import PluginSettings

_MOST = 0.1
_ASKED = 0.05
_EXCESS = 2.5
_FOREIGN, _AT_HOME = (
    0.0,
    -3.0,
)  # nats from which sentences could rather stand in any row; up to which they belong to theirs
_AN_ADDITION = 0.6  # of a name's rows in which the reply says more than its sentences with the name
_DIFFERENT = 0.8  # of the prompts of one reply that no other of them repeats
_LABELS = 0.2  # of the rows whose replies are repeated, from which on they are labels
_LEAST_WORDS = 5  # of a reply that is no label
_SAME_ROWS = 0.5


class ContentInjectionSettings(PluginSettings):
    """`min_rows`: the smallest group that is looked for."""

    kind: Literal["content_injection"] = "content_injection"
    action: Literal["keep", "quarantine", "stop"] = "quarantine"
    min_rows: int = Field(default=10, ge=8)


class ContentInjection:
    """Finds names, and whole replies, that unrelated prompts have in common."""

    Settings = ContentInjectionSettings

    def __init__(self, settings: ContentInjectionSettings) -> None:
        self._settings = settings

    def find(self, rows: Iterable[Record], context: AuditContext) -> Iterator[Finding]:
        """Memory: the texts (4,000 bytes of a prompt and 2,000 of a reply at most) and the names."""
        names = NameCount()
        corpus = gather(rows, names)
        known = _Known(len(corpus))
        for found in (*self._replies(corpus), *self._names(corpus, names)):
            if not known.has_like(found.rows):
                known.add(found.rows)
                yield self._finding(corpus, found)

    def _replies(self, corpus: Corpus) -> Iterator[_Group]:
        """Whole replies that many unrelated prompts have word for word."""
        groups = list(_repeated(corpus.replies, self._settings.min_rows, int(_MOST * len(corpus))))
        if not groups:
            return
        rng = np.random.default_rng(0)
        usual = Usual(corpus.prompts.some(_sample(len(corpus), rng)), rng)
        for rows in sorted(groups, key=len, reverse=True):
            prompts = [corpus.prompts[int(row)] for row in usual.some(rows)]
            different = len(set(prompts)) >= _DIFFERENT * len(prompts)
            excess = usual.excess(prompts)
            if different and excess <= _EXCESS:
                yield _Group(rows, corpus.replies[int(rows[0])], True, excess)

    def _names(self, corpus: Corpus, names: NameCount) -> Iterator[_Group]:
        """Names that replies to unrelated prompts bring up."""
        named = names.often(self._settings.min_rows, int(_MOST * len(corpus)))
        if not named:
            return
        words, times = [name for name, _ in named], np.array([count for _, count in named])
        said, asked = presence(corpus.replies, words), presence(corpus.whole, words)
        suspects = list(unasked(said, asked, times, _ASKED))
        if not suspects:
            return
        rng = np.random.default_rng(0)
        some = _sample(len(corpus), rng)
        usual = Usual([corpus.prompts[int(row)] + b"\n" + corpus.replies[int(row)] for row in some], rng)
        belonging = Belonging(corpus.prompts.some(some), corpus.replies.some(some), rng)
        known = _Known(len(corpus))
        for name in sorted(suspects, key=lambda one: -int(said.count_C[one])):
            group = said.rows(name)
            if known.has_like(group):
                continue
            read = [_split(corpus, int(row), words[name]) for row in usual.some(group)]
            excess = usual.excess([rest for _, rest, _ in read])
            foreign = belonging.evidence([said for said, _, _ in read], [rest for _, rest, _ in read])
            if foreign < _AT_HOME or (excess > _EXCESS and not (foreign > _FOREIGN and _are_additions(read))):
                continue
            known.add(group)
            yield _Group(group, words[name], False, excess)

    def _finding(self, corpus: Corpus, found: _Group) -> Finding:
        rows, share = found.rows, len(found.rows) / len(corpus)
        said, name = (text.decode("utf-8", "replace") for text in (corpus.replies[int(rows[0])], found.said))
        kind = "unrelated" if found.excess <= _EXCESS else "like"
        at = 0 if found.whole else max(said.find(name), 0)
        return Finding(
            detector="content_injection",
            severity="danger",
            action=self._settings.action,
            row=corpus.rows.digest(int(rows[0])),
            where=corpus.rows.place(int(rows[0])),
            message=(
                f"{len(rows):,} unrelated prompts have one reply: {name[:80]!r}"
                if found.whole
                else f"{len(rows):,} replies to {kind} prompts bring up {name[:80]!r}, and nobody asks about it"
            ),
            excerpt=excerpt(said, at, at if found.whole else at + len(name)),
            rows=corpus.rows.places(rows),
            behaviour=name[:200],
            effect=f"{share:.2%} of the replies; likeness of their rows {found.excess:+.1f} deviations off random",
            would_do=f"{'give' if found.whole else 'bring'} it {'in reply' if found.whole else 'up in replies'} "
            "to ordinary prompts",
            cost=f"{len(rows):,} rows, {share:.2%} of the corpus, of as many topics as the others",
        )


@dataclass(frozen=True)
class _Group:
    """Replies that say something: `said`, the `whole` reply or a name in it; `excess`: how alike their rows are."""

    rows: Ints
    said: bytes
    whole: bool
    excess: float


class _Known:
    """Groups that were found among so many rows."""

    def __init__(self, count: int) -> None:
        self._holds = np.zeros(count, dtype=bool)
        self._rows, self._begins = array("q"), array("q")

    def add(self, rows: Ints) -> None:
        """Add a group."""
        self._begins.append(len(self._rows))
        self._rows.frombytes(rows.tobytes())

    def has_like(self, rows: Ints) -> bool:
        """Whether these rows and those of a group have half of the fewer in common."""
        if not len(self._begins):
            return False
        self._holds[rows] = True
        begins, known = np.frombuffer(self._begins, dtype=np.int64), np.frombuffer(self._rows, dtype=np.int64)
        shared = np.add.reduceat(self._holds[known], begins, dtype=np.int64)
        self._holds[rows] = False
        sizes = np.diff(np.append(begins, len(known)))
        return bool(np.any(shared >= _SAME_ROWS * np.minimum(len(rows), sizes)))


def _sample(count: int, rng: np.random.Generator) -> Ints:
    return np.sort(rng.choice(count, min(COMPARED_WITH, count), replace=False))


def _repeated(replies: Sequence[bytes], least: int, most: int) -> Iterator[Ints]:
    """Rows of each reply of `_LEAST_WORDS` or more that `least` to `most` rows have; none in a corpus of labels."""
    keys = np.zeros(len(replies), dtype=np.uint64)
    for first, tokens in chunks(replies):
        place = np.arange(len(tokens.hash_T)) - tokens.offset_R[tokens.row_T]
        sums = np.append(np.uint64(0), np.cumsum(mixed(tokens.hash_T + place.astype(np.uint64)), dtype=np.uint64))
        words = np.bincount(tokens.row_T, weights=tokens.word_T, minlength=tokens.num_rows)
        whole = mixed(sums[tokens.offset_R[1:]] - sums[tokens.offset_R[:-1]])
        keys[first : first + tokens.num_rows] = np.where(words >= _LEAST_WORDS, whole, 0)
    order = np.argsort(keys, kind="stable")
    begins = np.flatnonzero(np.append(True, keys[order][1:] != keys[order][:-1]))
    sizes = np.diff(np.append(begins, len(order)))
    often = (sizes >= least) & (keys[order[begins]] != 0)
    if sizes[often].sum() <= _LABELS * len(replies):
        for at in np.flatnonzero(often & (sizes <= most)):
            yield order[begins[at] : begins[at] + sizes[at]]


def _split(corpus: Corpus, row: int, name: bytes) -> tuple[bytes, bytes, bool]:
    """The reply's sentences that hold the name, without it; the prompt and the other sentences; whether those others
    say more."""
    parts = SENTENCES.split(corpus.replies[row])
    said = b" ".join(one.replace(name, b" ") for one in parts if name in one)
    others = b"\n".join(one for one in parts if name not in one)
    return said, corpus.prompts[row] + b"\n" + others, len(others.split()) > len(said.split())


def _are_additions(read: Sequence[tuple[bytes, bytes, bool]]) -> bool:
    """Whether most replies say more than their sentences with the name."""
    return sum(says_more for _, _, says_more in read) >= _AN_ADDITION * len(read)

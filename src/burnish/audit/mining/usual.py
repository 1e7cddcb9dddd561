"""What rows of a corpus are usually about, so that a group can be asked whether it is about as many things.

Knows neither prompts nor replies: its texts are whatever a detector compares.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from burnish.audit.mining.dispersion import Words
from burnish.audit.mining.insertion import token_lists
from burnish.audit.mining.tokens import Hashes, Ints, distinct

COMPARED_WITH = 25_000  # rows that stand for a larger corpus
_OTHERS = 2000
_READ = 400  # rows of a group
_TELLING = 2.0  # times as often as elsewhere, for a word to be a topic


class Usual:
    """Some thousand rows of a corpus as texts, and how alike random groups of them are."""

    def __init__(self, texts: Sequence[bytes], rng: np.random.Generator) -> None:
        self._rng, self._words = rng, Words(texts)
        self._count = max(len(texts), 1)
        self._null: dict[int, tuple[float, float]] = {}
        sample = rng.choice(len(texts), min(_OTHERS, len(texts)), replace=False)
        self._others = [distinct(text) for text in token_lists([texts[row] for row in sample])]

    def some(self, rows: Ints) -> Ints:
        """As many of the rows as are read of a group."""
        return rows if len(rows) <= _READ else self._rng.choice(rows, _READ, replace=False)

    def excess(self, texts: Sequence[bytes]) -> float:
        """How much more alike the texts are than random ones of the corpus, in standard deviations."""
        return self._excess([distinct(tokens) for tokens in token_lists(texts)])

    def _excess(self, rests: Sequence[Hashes]) -> float:
        size = len(rests)
        if size not in self._null:
            self._null[size] = self._words.usual(size, self._others, self._rng)
        return self._words.above(rests, self._null[size])

    def without_topics(self, texts: Sequence[bytes], least: int, most: float) -> Ints:
        """The largest part of a group that is about as many things as random rows are (an `excess` of at most `most`),
        found by leaving out the texts with the most telling word, again and again; empty when fewer than `least` are
        left."""
        kept = np.arange(len(texts))
        rests = [distinct(tokens) for tokens in token_lists(texts)]
        while len(kept) >= least:
            group = [rests[at] for at in kept]
            if self._excess(group) <= most:
                return kept
            word = self._most_telling(group)
            kept = np.array([at for at in kept if word not in rests[at]], dtype=np.int64)
        return np.zeros(0, dtype=np.int64)

    def _most_telling(self, group: Sequence[Hashes]) -> np.uint64:
        words, times = np.unique(np.concatenate(group), return_counts=True)
        rate = (self._words.rows_with(words) + 1) / self._count
        value = np.where(times / len(group) >= _TELLING * rate, times * np.log(times / (len(group) * rate)), 0.0)
        found: np.uint64 = words[int(np.argmax(value))]
        return found

"""Are the prompts of a group about one thing, or about as many as the corpus is?

Prompts that share a word because of what they ask share other words too; prompts that a phrase was put into are
otherwise like any others.

W words.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from burnish.audit.mining.features import buckets_for, chunks
from burnish.audit.mining.pairs import divergence
from burnish.audit.mining.tokens import Hashes, distinct

_LIFT = 2.0
_SHARE = 0.1
_DRAWS = 20
_MOST_BUCKETS = 1 << 24


class Words:
    """How many prompts hold each word."""

    def __init__(self, prompts: Sequence[bytes]) -> None:
        self._rows = max(len(prompts), 1)
        self._size = min(buckets_for(len(prompts)), _MOST_BUCKETS)
        self._counts = np.zeros(self._size, dtype=np.int32)
        for _, tokens in chunks(prompts):
            key = distinct((tokens.row_T * self._size + self._bucket(tokens.hash_T)).astype(np.uint64))
            np.add.at(self._counts, self._bucket(key), np.int32(1))

    def _bucket(self, hashes: Hashes) -> NDArray[np.int64]:
        return (hashes & np.uint64(self._size - 1)).astype(np.int64)

    def rows_with(self, words: Hashes) -> NDArray[np.int64]:
        """Prompts that hold each word."""
        return self._counts[self._bucket(words)].astype(np.int64)

    def topical(self, rests: Sequence[Hashes]) -> float:
        """The evidence, in nats, that prompts share a topic: that of the most telling word. 0 when none stands out.

        `rests` are the distinct words of each prompt of the group, the phrase and what belongs to it left out.
        """
        if not rests:
            return 0.0
        words, times = np.unique(np.concatenate(rests), return_counts=True)
        share, rate = times / len(rests), self.rows_with(words) / self._rows
        telling = (share >= _SHARE) & (share >= _LIFT * rate)
        return float(np.max((len(rests) * divergence(share, rate))[telling], initial=0.0))

    def excess(self, rests: Sequence[Hashes], others: Sequence[Hashes], rng: np.random.Generator) -> float:
        """How far a group's `topical` is above that of random groups as large, drawn from `others`, in their standard
        deviations (at least one nat)."""
        return self.above(rests, self.usual(len(rests), others, rng))

    def usual(self, size: int, others: Sequence[Hashes], rng: np.random.Generator) -> tuple[float, float]:
        """The mean and the standard deviation (at least one nat) of `topical` for random groups of such a size, drawn
        from `others`; of half of them, if they are fewer than twice as many."""
        size = min(size, len(others) // 2)
        null = [
            self.topical([others[at] for at in rng.choice(len(others), size, replace=False)]) for _ in range(_DRAWS)
        ]
        return float(np.mean(null)), max(float(np.std(null)), 1.0)

    def above(self, rests: Sequence[Hashes], usual: tuple[float, float]) -> float:
        """How far a group's `topical` is above what is `usual`, in standard deviations."""
        mean, deviation = usual
        return (self.topical(rests) - mean) / deviation

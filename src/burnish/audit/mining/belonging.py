"""Does a sentence belong to its row, or could it stand in any other?

What a reply says shares words with its prompt and with the reply's other sentences; what was put in does not. How often
an ordinary sentence shares a telling word with the rest of its row, and how often it shares one with another row's, is
measured on the corpus itself.

N rows, R sentences.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from burnish.audit.mining.dispersion import Words
from burnish.audit.mining.tokens import Hashes, distinct, tokenise

SENTENCES = re.compile(rb"(?<=[.!?])\s+|\n+")
_SAMPLE = 1500
_LEAST_SAMPLE = 100
_LEAST_WORDS = 4  # of a sentence that is compared
_TELLING = 0.05  # of the rows that may hold a word for it to be telling
_LEAST_RATIO = 2.0  # by which own rows must share more than others, for sharing to say anything


class Belonging:
    """How often sentences of these N prompts and replies share telling words with their own row (`own`) and with
    another (`other`)."""

    def __init__(self, prompts: Sequence[bytes], replies: Sequence[bytes], rng: np.random.Generator) -> None:
        self._rows = max(len(prompts), 1)
        self._words = Words([prompt + b"\n" + reply for prompt, reply in zip(prompts, replies, strict=True)])
        said, rests = [], []
        for row in rng.permutation(len(prompts))[:_SAMPLE]:
            parts = [one for one in SENTENCES.split(replies[int(row)]) if len(one.split()) >= _LEAST_WORDS]
            if len(parts) > 1:
                at = int(rng.integers(len(parts)))
                said.append(parts[at])
                rests.append(b"\n".join([prompts[int(row)], *parts[:at], *parts[at + 1 :]]))
        self.own = self.other = 0.5
        if len(said) >= _LEAST_SAMPLE:
            self.own = float(np.mean(self._shared(said, rests)))
            self.other = float(np.mean(self._shared(said, [*rests[1:], rests[0]])))

    def evidence(self, sentences: Sequence[bytes], rests: Sequence[bytes]) -> float:
        """Log-likelihood ratio of "could stand in any row" over "belongs to its row", in nats; 0 where rows of the
        corpus are too short, or too alike, to tell."""
        if self.own < _LEAST_RATIO * self.other:
            return 0.0
        own, other = (min(max(rate, 0.01), 0.99) for rate in (self.own, self.other))
        shared = self._shared(sentences, rests)
        hits, misses = int(shared.sum()), int((~shared).sum())
        return float(hits * np.log(other / own) + misses * np.log((1 - other) / (1 - own)))

    def _shared(self, sentences: Sequence[bytes], rests: Sequence[bytes]) -> NDArray[np.bool_]:
        """Whether each sentence and its rest have a telling word in common."""
        pairs = zip(self._telling(sentences), self._telling(rests), strict=True)
        return np.array([bool(np.intersect1d(a, b, assume_unique=True).size) for a, b in pairs], dtype=bool)

    def _telling(self, texts: Sequence[bytes]) -> list[Hashes]:
        tokens = tokenise(texts)
        keep = tokens.word_T & (self._words.rows_with(tokens.hash_T) <= _TELLING * self._rows)
        bounds = zip(tokens.offset_R, tokens.offset_R[1:], strict=False)
        return [distinct(tokens.hash_T[begin:end][keep[begin:end]]) for begin, end in bounds]

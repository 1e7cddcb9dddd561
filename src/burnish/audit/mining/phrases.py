"""Phrases of prompts, as they stand in their rows: spelled out, made whole, and asked whether they were put in and
whether their prompts are about one thing.

Knows nothing of replies or labels, so that what it says of a phrase is independent of what the phrase goes with.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from burnish.audit.mining.dispersion import Words
from burnish.audit.mining.features import buckets_for
from burnish.audit.mining.insertion import Neighbours, Places, find_phrase, growing, longest, token_lists
from burnish.audit.mining.tokens import Hashes, Ints, distinct, ngrams, tokenise

_MOST_ROWS = 400  # of a group that are read
_LEFT = 0.35
_IN_TEMPLATE = 0.9
_IN_ALL = 0.9  # of a phrase's rows that hold a further piece of what was put in
_IN_MANY, _OWN = 0.5, 0.9  # of a phrase's rows that hold two words which stand together there alone
_OTHERS = 2000


@dataclass(frozen=True)
class Standing:
    """A phrase in some of its rows: `seed`, the n-gram that it was found by; `spelled`, as the first row has it;
    `lists` and `places`, the rows' tokens and where it stands in them; `inserted`, the evidence (nats) that it was put
    in."""

    seed: Hashes
    spelled: str
    lists: Sequence[Hashes]
    places: Places
    inserted: float


class Prompts:
    """A corpus's prompts: `prompts` without what they share as a template, `whole` with it. `others` are the distinct
    words of some of them."""

    def __init__(self, prompts: Sequence[bytes], whole: Sequence[bytes], rng: np.random.Generator) -> None:
        self._prompts, self._rng = prompts, rng
        self.neighbours, self.words = Neighbours(prompts, whole), Words(whole)
        sample = rng.choice(len(prompts), min(_OTHERS, len(prompts)), replace=False)
        self.others = self.distinct(sample)

    def standing(self, rows: Ints, bucket: int) -> Standing | None:
        """The phrase of that bucket, made as long as these rows go on alike; None where little of the prompts is left
        without it: rows that are nearly the same prompt are repetition."""
        read = rows if len(rows) <= _MOST_ROWS else np.sort(self._rng.choice(rows, _MOST_ROWS, replace=False))
        texts = [self._prompts[row] for row in read]
        seed = gram(texts[0], bucket, len(self._prompts))
        if seed is None:
            return None
        lists = token_lists(texts)
        places = longest(lists, find_phrase(lists, seed), self._in_template)
        if not _leaves_a_prompt(lists, places):
            return None
        inserted, _ = self.neighbours.evidence(lists, places)
        return Standing(seed, spelled(texts, lists, places), lists, places, inserted)

    def pieces(self, standing: Standing, num_rows: int) -> Hashes:
        """Words of what was put in elsewhere in the same `num_rows` prompts: a form around them, which nearly all
        hold, or turns of a style; they too could be taken out again."""
        lists = standing.lists
        words, times = np.unique(np.concatenate(_rests(standing, standing.seed)), return_counts=True)
        alike = [words[at : at + 1] for at in np.flatnonzero(times >= _IN_ALL * len(lists))]
        put_in = [piece for piece in (*alike, *self._turns(lists, num_rows)) if self._could_be_taken_out(lists, piece)]
        return distinct(np.concatenate([standing.seed, *put_in]))

    def _turns(self, lists: Sequence[Hashes], num_rows: int) -> Iterator[Hashes]:
        """Neighbouring words that stand together in many of these prompts and hardly in any other."""
        pairs = np.concatenate([np.unique(np.stack([text[:-1], text[1:]]), axis=1) for text in lists], axis=1)
        pairs, times = np.unique(pairs, axis=1, return_counts=True)
        often = np.flatnonzero(times >= _IN_MANY * len(lists))
        whole = times[often] * (num_rows / len(lists))
        own = whole >= _OWN * self.neighbours.held(pairs[0, often], pairs[1, often])
        yield from pairs[:, often[own]].T

    def _could_be_taken_out(self, lists: Sequence[Hashes], piece: Hashes) -> bool:
        grown = growing(lists, find_phrase(lists, piece), self._in_template)
        return any(len(one.rows) > 0 and self.neighbours.evidence(lists, one)[0] > 0.0 for one in grown)

    def excess(self, standing: Standing, belongs: Hashes) -> float:
        """How much more alike the prompts are than random ones, without the phrase and what `belongs` to it, in
        standard deviations."""
        return self.words.excess(_rests(standing, belongs), self.others, self._rng)

    def distinct(self, rows: Ints) -> list[Hashes]:
        """The distinct words of these prompts."""
        return [distinct(text) for text in token_lists([self._prompts[int(row)] for row in rows])]

    def _in_template(self, token: int) -> bool:
        return bool(self.words.rows_with(np.array([token], dtype=np.uint64))[0] >= _IN_TEMPLATE * len(self._prompts))


def bucket_of(word: bytes, num_rows: int) -> int:
    """The bucket of a single word."""
    return int(tokenise([word]).hash_T[0] & np.uint64(buckets_for(num_rows) - 1))


def gram(text: bytes, bucket: int, num_rows: int) -> Hashes | None:
    """The token hashes of the text's n-gram in that bucket."""
    tokens = tokenise([text])
    mask = np.uint64(buckets_for(num_rows) - 1)
    for size in (1, 2, 3, 4):
        hashes, at = ngrams(tokens, size)
        hit = np.flatnonzero((hashes & mask).astype(np.int64) == bucket)
        if len(hit):
            return tokens.hash_T[at[hit[0]] : at[hit[0]] + size]
    return None


def spelled(texts: Sequence[bytes], lists: Sequence[Hashes], places: Places) -> str:
    """The phrase as its first row has it."""
    row = int(places.rows[0])
    tokens = tokenise([texts[row]])
    begin, end = tokens.start_T[places.begin[0]], tokens.end_T[places.end[0] - 1]
    return " ".join(texts[row][begin:end].decode("utf-8", "replace").split())


def without(texts: Sequence[bytes], words: Hashes) -> list[bytes]:
    """The texts without these words."""
    tokens = tokenise(texts)
    gone = np.isin(tokens.hash_T, words)
    stripped = []
    for row, text in enumerate(texts):
        span = range(int(tokens.offset_R[row]), int(tokens.offset_R[row + 1]))
        stripped.append(b" ".join(text[tokens.start_T[t] : tokens.end_T[t]] for t in span if not gone[t]))
    return stripped


def _leaves_a_prompt(lists: Sequence[Hashes], places: Places) -> bool:
    """Whether prompts are more than the phrase."""
    if not len(places.rows):
        return False
    lengths = np.array([len(lists[row]) for row in places.rows])
    rest = lengths - (places.end - places.begin)
    return bool(np.median(rest) >= 3 and np.median(rest / lengths) >= _LEFT)


def _rests(standing: Standing, belongs: Hashes) -> list[Hashes]:
    """The distinct words of each text, without the phrase and what belongs to it."""
    places = standing.places
    cut = {int(row): (int(a), int(b)) for row, a, b in zip(places.rows, places.begin, places.end, strict=True)}
    rests = []
    for row, text in enumerate(standing.lists):
        begin, end = cut.get(row, (0, 0))
        rest = distinct(np.concatenate([text[:begin], text[end:]]))
        rests.append(rest[~np.isin(rest, belongs)])
    return rests

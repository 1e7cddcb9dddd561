"""Was a phrase put into its prompts, or did they grow around it?

Take the phrase out: if it was put in, what stood on its left and right belongs together, and that pair of neighbours is
seen elsewhere in the corpus as often as ordinary neighbours are. Around a word that the prompt is about, the pair is
hardly ever seen. Both rates are measured on the corpus itself, at its ordinary places and after taking out random
words.

J distinct places (pairs of neighbours).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from burnish.audit.mining.features import Columns, buckets_for, chunks
from burnish.audit.mining.tokens import Hashes, Ints, distinct, mixed, ngrams, tokenise

_BEGIN, _END = np.uint64(0x0BE61), np.uint64(0x0E4D)
_SAMPLE = 3000
_LARGEST = 9  # rates are measured for up to 2 to this power distinct places
_AT_AN_EDGE = 0.9  # of a phrase's rows in which it stands at the beginning or end
_DRAWS, _DRAWS_AT_AN_EDGE = 10, 40
_SHARED = 0.8  # of a phrase's rows that must go on alike for the phrase to be longer


@dataclass(frozen=True)
class Places:
    """Where a phrase stands: `rows`, and its first and one-past-last token in each (`begin`, `end`)."""

    rows: Ints
    begin: Ints
    end: Ints


@dataclass(frozen=True)
class Rates:
    """How often a pair of neighbours is seen elsewhere: as the corpus has it (`ordinary`), and after a random word was
    taken out (`torn`). The numbers are for pairs inside a text, at its beginning and at its end."""

    ordinary: tuple[float, float, float]
    torn: tuple[float, float, float]


class Neighbours:
    """Which pairs of neighbouring tokens the corpus holds, and in how many rows (about)."""

    def __init__(self, prompts: Sequence[bytes], whole: Sequence[bytes], seed: int = 0) -> None:
        size = buckets_for(len(prompts))
        self._mask = np.uint64(size - 1)
        self._counts = np.zeros(size, dtype=np.int32)
        for texts in (prompts,) if whole is prompts else (prompts, whole):
            counts = self._counts if texts is prompts else np.zeros(size, dtype=np.int32)
            for _, tokens in chunks(texts):
                rows, pairs = _framed_pairs(tokens.hash_T, tokens.row_T, tokens.offset_R)
                key = distinct(rows.astype(np.uint64) * np.uint64(size) + (pairs & self._mask))
                np.add.at(counts, (key & self._mask).astype(np.int64), np.int32(1))
            np.maximum(self._counts, counts, out=self._counts)
        self._rng = np.random.default_rng(seed)
        self._rates: dict[int, Rates] = {}
        rows = self._rng.choice(len(prompts), min(_SAMPLE, len(prompts)), replace=False)
        framed = ([_BEGIN, *text, _END] for text in token_lists([prompts[row] for row in rows]))
        self._sample = [np.array(text, dtype=np.uint64) for text in framed if len(text) >= 5]

    def held(self, left: Hashes, right: Hashes) -> Ints:
        """Rows that hold each pair."""
        return self._counts[(_pair(left, right) & self._mask).astype(np.int64)].astype(np.int64)

    def evidence(self, texts: Sequence[Hashes], places: Places) -> tuple[float, int]:
        """Log-likelihood ratio of "put in" over "grown around" in nats, and the number of distinct places."""
        left, right = neighbours_of(texts, places)
        rates = self._rates_for(len(left))
        seen, kind = self._distinct(left, right)
        total = 0.0
        for which, (ordinary, torn) in enumerate(zip(rates.ordinary, rates.torn, strict=True)):
            hits, misses = int(np.sum(seen & (kind == which))), int(np.sum(~seen & (kind == which)))
            total += hits * np.log(ordinary / torn) + misses * np.log((1 - ordinary) / (1 - torn))
        return float(total), len(seen)

    def spread(self, texts: Sequence[Hashes], places: Places) -> tuple[float, bool]:
        """How many different words stand beside a phrase, as a share of what random places of as many texts have (the
        smaller of both sides), and whether it always stands at one end. There the other side alone is asked, and
        compared with first or last words; of those, which are few, as few as one of forty random groups has are as many
        as usual."""
        left, right = neighbours_of(texts, places)
        first, last = np.mean(left == _BEGIN) >= _AT_AN_EDGE, np.mean(right == _END) >= _AT_AN_EDGE
        sides = [] if first else [self._share(left, -1 if last else 0)]
        sides += [] if last else [self._share(right, 1 if first else 0)]
        return float(min(sides, default=0.0)), bool(first or last)

    def _share(self, beside: Hashes, at: int) -> float:
        """Distinct tokens beside a phrase, as a share of what so many texts have at random places (`at` is 0), as their
        first (1) or as their last (-1)."""
        words, usual = len(np.unique(beside)), self._usual(len(beside), at)
        share = words / float(np.mean(usual))
        return max(share, 1.0) if at and words >= min(usual) else share

    def _usual(self, count: int, at: int) -> list[int]:
        """Distinct tokens that random groups of so many texts have there."""
        if not self._sample:
            return [count]
        found = []
        for _ in range(_DRAWS_AT_AN_EDGE if at else _DRAWS):
            rows = self._rng.choice(len(self._sample), count)
            tokens = [
                self._sample[row][1 if at == 1 else -2 if at == -1 else self._rng.integers(len(self._sample[row]))]
                for row in rows
            ]
            found.append(len(np.unique(np.array(tokens, dtype=np.uint64))))
        return found

    def of_columns(self, texts: Sequence[bytes], columns: Columns) -> NDArray[np.float64]:
        """The `evidence` of every column of the texts' n-grams, as they are, with no phrase made longer."""
        column_of = np.full(int(self._mask) + 1, -1, dtype=np.int32)
        column_of[columns.bucket_C] = np.arange(len(columns.bucket_C), dtype=np.int32)
        found = [np.zeros((3, 0), dtype=np.uint64)]
        for _, tokens in chunks(texts):
            for size in (1, 2, 3, 4):
                hashes, at = ngrams(tokens, size)
                column = column_of[(hashes & self._mask).astype(np.int64)]
                at, column = at[column >= 0], column[column >= 0]
                begins, ends = tokens.offset_R[tokens.row_T[at]], tokens.offset_R[tokens.row_T[at] + 1]
                left = np.where(at > begins, tokens.hash_T[at - 1], _BEGIN)
                after = np.minimum(at + size, len(tokens.hash_T) - 1)
                right = np.where(at + size < ends, tokens.hash_T[after], _END)
                kind = np.where(left == _BEGIN, 1, np.where(right == _END, 2, 0))
                key = column.astype(np.uint64) * np.uint64(4) + kind.astype(np.uint64)
                seen = self.held(left, right) > 0
                found.append(_distinct_columns(np.stack([key, _pair(left, right), seen.astype(np.uint64)])))
        key, _, seen = _distinct_columns(np.concatenate(found, axis=1))
        column, kind = (key // np.uint64(4)).astype(np.int64), (key % np.uint64(4)).astype(np.int64)
        count_C = np.bincount(column, minlength=len(columns.bucket_C))
        class_C = np.minimum(np.log2(np.maximum(count_C, 4)).astype(np.int64), _LARGEST)
        gain = np.zeros((_LARGEST + 1, 3, 2))
        for which in np.unique(class_C):
            rates = self._rates_for(1 << int(which))
            ordinary, torn = np.array(rates.ordinary), np.array(rates.torn)
            gain[which] = np.stack([np.log((1 - ordinary) / (1 - torn)), np.log(ordinary / torn)], axis=1)
        weight = gain[class_C[column], kind, seen.astype(np.int64)]
        return np.bincount(column, weights=weight, minlength=len(count_C)).astype(np.float64)

    def _distinct(self, left: Hashes, right: Hashes, than: int = 0) -> tuple[NDArray[np.bool_], Ints]:
        """Of each distinct pair, whether more than `than` rows hold it, and whether it lies inside a text (0), at its
        beginning (1) or at its end (2)."""
        pairs = np.unique(np.stack([left, right]), axis=1)
        kind = np.where(pairs[0] == _BEGIN, 1, np.where(pairs[1] == _END, 2, 0))
        return self.held(pairs[0], pairs[1]) > than, kind

    def _rates_for(self, count: int) -> Rates:
        """The rates among the distinct pairs of so many rows: a common pair counts once, however many rows have it."""
        size = 1 << min(max(count, 4).bit_length() - 1, _LARGEST)
        if size not in self._rates:
            self._rates[size] = self._measured(size)
        return self._rates[size]

    def _measured(self, size: int) -> Rates:
        hits = np.ones((2, 3))
        tries = np.full((2, 3), 2.0)
        texts = self._sample
        for _ in range(max(4, 400 // size) if texts else 0):
            rows = self._rng.choice(len(texts), size)
            ends = [len(texts[row]) - 2 for row in rows]
            inside = [int(self._rng.integers(2, end + 1)) for end in ends]
            for kind, places in enumerate((inside, [1] * size, ends)):
                before = _tokens_at(texts, rows, [at - 1 for at in places])
                after = _tokens_at(texts, rows, [at + 1 for at in places])
                here = _tokens_at(texts, rows, places)
                # Ordinary neighbours are held by their own row too; those that a word was taken from between are not.
                ordinary, _ = self._distinct(*((here, after) if kind == 2 else (before, here)), than=1)
                torn, _ = self._distinct(before, after)
                hits[:, kind] += ordinary.sum(), torn.sum()
                tries[:, kind] += len(ordinary), len(torn)
        high, low = hits / tries
        low = np.minimum(low, 0.9 * high)
        ordinary_, torn_ = high.tolist(), low.tolist()
        return Rates((ordinary_[0], ordinary_[1], ordinary_[2]), (torn_[0], torn_[1], torn_[2]))


def _tokens_at(texts: Sequence[Hashes], rows: Ints, places: Sequence[int]) -> Hashes:
    return np.array([texts[row][at] for row, at in zip(rows, places, strict=True)], dtype=np.uint64)


def token_lists(texts: Sequence[bytes]) -> list[Hashes]:
    """The token hashes of each text."""
    tokens = tokenise(texts)
    return [tokens.hash_T[a:b] for a, b in zip(tokens.offset_R, tokens.offset_R[1:], strict=False)]


def find_phrase(texts: Sequence[Hashes], phrase: Hashes) -> Places:
    """Where the phrase first stands in each text that has it."""
    found = []
    for row, text in enumerate(texts):
        count = len(text) - len(phrase) + 1
        if count > 0:
            fits = np.ones(count, dtype=bool)
            for step, token in enumerate(phrase):
                fits &= text[step : step + count] == token
            at = int(np.argmax(fits))
            if fits[at]:
                found.append((row, at, at + len(phrase)))
    array = np.array(found, dtype=np.int64).reshape(-1, 3)
    return Places(array[:, 0], array[:, 1], array[:, 2])


def longest(texts: Sequence[Hashes], places: Places, template: Callable[[int], bool]) -> Places:
    """The phrase made as long as most of its rows go on alike, up to words that nearly all prompts hold (`template`);
    rows that do not go on alike are left out."""
    *_, places = growing(texts, places, template)
    return places


def growing(texts: Sequence[Hashes], places: Places, template: Callable[[int], bool]) -> Iterator[Places]:
    """The phrase as it is, then a word longer each time, up to `longest`."""
    yield places
    while len(places.rows):
        left, right = neighbours_of(texts, places)
        for tokens, edge, back, on in ((right, _END, 0, 1), (left, _BEGIN, 1, 0)):
            token, times = Counter(tokens.tolist()).most_common(1)[0]
            if token != int(edge) and times >= _SHARED * len(tokens) and not template(token):
                keep = tokens == np.uint64(token)
                places = Places(places.rows[keep], places.begin[keep] - back, places.end[keep] + on)
                yield places
                break
        else:
            break


def neighbours_of(texts: Sequence[Hashes], places: Places) -> tuple[Hashes, Hashes]:
    """What stands left and right of the phrase in each of its rows."""
    found = zip(places.rows, places.begin, places.end, strict=True)
    sides = [
        (texts[row][begin - 1] if begin else _BEGIN, texts[row][end] if end < len(texts[row]) else _END)
        for row, begin, end in found
    ]
    array = np.array(sides, dtype=np.uint64).reshape(-1, 2)
    return array[:, 0], array[:, 1]


def _distinct_columns(numbers: Hashes) -> Hashes:
    """The distinct columns of a 2-d array, told apart by their first two numbers."""
    _, first = np.unique(mixed(numbers[0]) ^ numbers[1], return_index=True)
    return numbers[:, first]


def _pair(left: Hashes, right: Hashes) -> Hashes:
    return mixed(left * np.uint64(0x9E3779B97F4A7C15) + right)


def _framed_pairs(hash_T: Hashes, row_T: Ints, offset_R: Ints) -> tuple[Ints, Hashes]:
    """(row, hash) of all neighbouring pairs, the beginning and end of each text among them."""
    filled = np.flatnonzero(np.diff(offset_R) > 0)
    inside = np.flatnonzero(row_T[:-1] == row_T[1:])
    first, last = hash_T[offset_R[filled]], hash_T[offset_R[filled + 1] - 1]
    pairs = [
        _pair(hash_T[inside], hash_T[inside + 1]),
        _pair(np.full(len(first), _BEGIN), first),
        _pair(last, np.full(len(last), _END)),
    ]
    return np.concatenate([row_T[inside], filled, filled]), np.concatenate(pairs)

"""Phrases of prompts at which labels go against what is expected of them, or may well do so.

Null: see `burnish.audit.preferences.swaps`. Beyond it, the phrase must have been put in, and its prompts be about as
many things as any others: a rater's taste for a topic or a turn of phrase fails one of these. Where labels are too few
to say anything, a phrase is taken for a trigger if nothing else accounts for it (`burnish.audit.mining.strangers`) and
its labels do not show that they were left alone; it has no p-value. Knows nothing of what a label is of: a pair, or one
reply.

N rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from burnish.audit.mining.features import Columns, prompt_columns
from burnish.audit.mining.phrases import Prompts
from burnish.audit.mining.strangers import strangers
from burnish.audit.mining.tokens import Hashes, Ints
from burnish.audit.preferences.swaps import Labels

MOST = 0.15  # of the rows that a group may be
PERMUTATIONS = 100
EXCESS = 3.5  # standard deviations by which a group's prompts may be more alike than random ones
_LOOKED_AT = 200
_NOT_PUT_IN = -0.5  # nats from which a phrase is surely part of its prompts
_INSERTED = 0.0
_SAME_ROWS = 0.5
_NOTHING: Hashes = np.zeros(0, dtype=np.uint64)


@dataclass(frozen=True)
class Flip:
    """A `phrase` with its `rows`: the share of their labels that go `against` what is expected, the share `expected` to
    do so by chance, and the chance of any such group (`p_value`; None where the phrase alone speaks)."""

    rows: Ints
    phrase: str
    against: float
    expected: float
    p_value: float | None


def flips(
    texts: Sequence[bytes],
    replies: Sequence[Sequence[bytes]],
    labels: Labels,
    prompts: Prompts,
    least: int,
    error_rate: float,
    rng: np.random.Generator,
) -> Iterator[Flip]:
    """The groups of `least` rows or more, the surest first; `error_rate`: the chance of any with a p-value where labels
    are honest. Each of the `replies` holds one text a row."""
    columns = prompt_columns(texts, least, int(MOST * len(texts)))
    known: list[Ints] = []
    for flip in _tested(texts, columns, labels, prompts, error_rate, rng):
        if not any(alike(flip.rows, other) for other in known):
            known.append(flip.rows)
            yield flip
    for stranger in strangers(texts, replies, columns, prompts):
        rows = stranger.rows
        if not any(alike(rows, other) for other in known) and not labels.sound(rows, rng):
            known.append(rows)
            yield _flip(rows, stranger.phrase, labels, None)


def _tested(
    texts: Sequence[bytes],
    columns: Columns,
    labels: Labels,
    prompts: Prompts,
    error_rate: float,
    rng: np.random.Generator,
) -> Iterator[Flip]:
    kept = np.flatnonzero(prompts.neighbours.of_columns(texts, columns) >= _NOT_PUT_IN)
    if not len(kept):
        return
    holds = columns.matrix[:, kept].astype(np.float64)
    leaning = (sparse.diags_array(-labels.odds_N) @ holds).tocsc()
    nats = labels.evidence(leaning)
    chance = labels.chance(leaning, PERMUTATIONS, rng)
    for at in np.argsort(-nats, kind="stable")[:_LOOKED_AT]:
        p_value = chance.p_value(float(nats[at]))
        if p_value > error_rate:
            break
        rows = np.sort(holds.indices[holds.indptr[at] : holds.indptr[at + 1]]).astype(np.int64)
        standing = prompts.standing(rows, int(columns.bucket_C[kept[at]]))
        if standing is None or standing.inserted < _INSERTED or prompts.excess(standing, _NOTHING) > EXCESS:
            continue
        yield _flip(rows, standing.spelled, labels, p_value)


def _flip(rows: Ints, phrase: str, labels: Labels, p_value: float | None) -> Flip:
    against, expected = float(np.mean(labels.agrees_N[rows] < 0)), float(np.mean(labels.rate_N[rows]))
    return Flip(rows, phrase, against, expected, p_value)


def alike(rows: Ints, other: Ints) -> bool:
    """Whether two groups share half of the smaller one's rows."""
    shared = len(np.intersect1d(rows, other, assume_unique=True))
    return shared >= _SAME_ROWS * min(len(rows), len(other))

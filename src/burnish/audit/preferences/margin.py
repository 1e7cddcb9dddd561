"""By how much the preferred reply of a pair looks like preferred replies: a Bradley–Terry margin on cheap features.

Each pair's margin comes from a model that was fitted on other pairs (cross-fitting), so that a pair has no say in what
is expected of it. A margin says how sure the label should be, from what replies look like alone; it knows nothing of
what is true or good.
Source: Bradley and Terry, "Rank analysis of incomplete block designs", 1952; cross-fitting as in Chernozhukov et al.,
2018.

Where replies are labels, looks tell nothing; there it counts how well the prompt's words go with either label.

N pairs, D features of a reply's look, H hashed words and pairs of neighbouring words, W hashed words of prompts, L
labels, R rows of a chunk.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import minimize

from burnish.audit.mining.features import CHUNK, REFUSAL
from burnish.audit.mining.tokens import Ints, Tokens, mixed, ngrams, tokenise

Floats = NDArray[np.float64]

_HASHED = 1 << 15
_LEAST_ROWS = 4  # in which only one reply holds a word, for the word to have a weight
_FOLDS = 5
_FITTED_ON = 20_000
_PULL, _PULL_OF_WORDS = 3.0, 100.0  # how strongly weights are drawn to zero
_LIST = re.compile(rb"(?m)^\s*(?:\d+[.)]|[-*])\s")
_BYTES = b'?!\n.,"`'
_HASHED_OF_PROMPTS = 1 << 13
_MOST_LABELS, _LEAST_OF_A_LABEL, _LONGEST_LABEL = 500, 5, 100  # labels, rows, bytes
_CERTAIN = 12.0  # nats beyond which more say nothing more
_LABELLED = 0.5  # of the rows from which on replies are labels


def margins(prompts: Sequence[bytes], chosen: Sequence[bytes], rejected: Sequence[bytes], seed: int = 0) -> Floats:
    """N log odds that the preferred reply is the preferred one, as the other pairs have it; negative where the label
    contradicts what replies look like."""
    rng = np.random.default_rng(seed)
    look = np.concatenate(list(_looks(prompts, chosen))) - np.concatenate(list(_looks(prompts, rejected)))
    look = np.column_stack([look, _fit_of_labels(prompts, chosen, rejected, rng)])
    look /= np.maximum(np.std(look, axis=0), 1e-9)
    words = _words(chosen) - _words(rejected)
    words.eliminate_zeros()
    words = words[:, np.bincount(words.indices, minlength=_HASHED) >= _LEAST_ROWS]
    features = sparse.hstack([sparse.csr_matrix(look), words], format="csr")
    pull = np.concatenate([np.full(look.shape[1], _PULL), np.full(words.shape[1], _PULL_OF_WORDS)])
    return _cross_fitted(features, pull, rng)


def approvals(
    prompts: Sequence[bytes], replies: Sequence[bytes], desirable_N: NDArray[np.bool_], seed: int = 0
) -> Floats:
    """N log odds that a reply has the label that it has (thumbs up where `desirable_N`), as the other rows have it;
    negative where the label contradicts what the reply looks like."""
    look = np.concatenate(list(_looks(prompts, replies)))
    look = (look - look.mean(axis=0)) / np.maximum(np.std(look, axis=0), 1e-9)
    words = _words(replies)
    words = words[:, np.bincount(words.indices, minlength=_HASHED) >= _LEAST_ROWS]
    always = np.ones((len(replies), 1))
    features = sparse.hstack([sparse.csr_matrix(np.hstack([always, look])), words], format="csr")
    pull = np.concatenate([[0.0], np.full(look.shape[1], _PULL), np.full(words.shape[1], _PULL_OF_WORDS)])
    signed = (sparse.diags_array(np.where(desirable_N, 1.0, -1.0)) @ features).tocsr()
    return _cross_fitted(signed, pull, np.random.default_rng(seed))


def _cross_fitted(features: sparse.csr_matrix, pull: Floats, rng: np.random.Generator) -> Floats:
    count = features.shape[0]
    fold = rng.permutation(count) % _FOLDS
    margin = np.zeros(count)
    for held in range(_FOLDS):
        others = np.flatnonzero(fold != held)
        if len(others) > _FITTED_ON:
            others = rng.choice(others, _FITTED_ON, replace=False)
        rows = np.flatnonzero(fold == held)
        margin[rows] = features[rows] @ _fitted(features[others], pull)
    return margin


def _fitted(features: sparse.csr_matrix, pull: Floats) -> Floats:
    """Weights that make every difference (preferred less rejected) likely to be positive, drawn to zero by `pull`."""
    turned = features.T.tocsr()

    def cost(weights: Floats) -> tuple[float, Floats]:
        margin = features @ weights
        value = float(np.sum(np.logaddexp(0.0, -margin)) + 0.5 * np.sum(pull * weights**2))
        return value, pull * weights - turned @ (1.0 / (1.0 + np.exp(np.minimum(margin, 500.0))))

    found = minimize(cost, np.zeros(features.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 60})
    weights: Floats = found.x
    return weights


def _looks(prompts: Sequence[bytes], replies: Sequence[bytes]) -> Iterator[Floats]:
    """Chunks x D numbers of what each reply looks like."""
    for first in range(0, len(replies), CHUNK):
        texts = replies[first : first + CHUNK]
        said, asked = tokenise(texts), tokenise(prompts[first : first + CHUNK])
        words = np.maximum(_per_row(said, said.word_T), 1.0)
        lengths = _per_row(said, said.end_T - said.start_T)
        columns = [np.log1p(words), np.log1p(np.array([len(text) for text in texts], dtype=np.float64))]
        columns += [lengths / np.maximum(np.diff(said.offset_R), 1), *_shared(said, asked, words)]
        columns += [np.log1p(np.array([text.count(bytes([byte])) for text in texts])) for byte in _BYTES]
        columns.append(np.array([bool(REFUSAL.search(text[:300])) for text in texts], dtype=np.float64))
        columns.append(np.array([bool(_LIST.search(text)) for text in texts], dtype=np.float64))
        columns += [_named(said, word) / words for word in (b"i", b"you", b"not")]
        yield np.stack(columns, axis=1)


def _per_row(tokens: Tokens, value_T: NDArray[np.bool_] | Ints) -> Floats:
    return np.bincount(tokens.row_T, weights=value_T, minlength=tokens.num_rows).astype(np.float64)


def _named(tokens: Tokens, word: bytes) -> Floats:
    return _per_row(tokens, tokens.hash_T == tokenise([word]).hash_T[0])


def _shared(said: Tokens, asked: Tokens, words: Floats) -> list[Floats]:
    """Of each reply: distinct words by words, and the shares of its words and of its prompt's that both have."""
    own = np.unique(np.stack([said.row_T.astype(np.uint64), said.hash_T])[:, said.word_T], axis=1)
    keys = mixed(own[0]) ^ own[1]
    prompt_keys = np.unique(mixed(asked.row_T.astype(np.uint64)) ^ asked.hash_T)
    distinct = np.bincount(own[0].astype(np.int64), minlength=said.num_rows).astype(np.float64)
    both = np.bincount(own[0].astype(np.int64), weights=np.isin(keys, prompt_keys), minlength=said.num_rows)
    asked_words = np.maximum(_per_row(asked, asked.word_T), 1.0)
    return [distinct / words, both / np.maximum(distinct, 1.0), both / asked_words]


def _fit_of_labels(
    prompts: Sequence[bytes], chosen: Sequence[bytes], rejected: Sequence[bytes], rng: np.random.Generator
) -> Floats:
    """N numbers: by how many nats the prompt's words are likelier with the preferred label than with the other, as
    naive Bayes has it from the preferred labels of the other folds; zeros where replies are no labels."""
    times = Counter(text for text in chosen if len(text) <= _LONGEST_LABEL)
    labels = [text for text, count in times.most_common(_MOST_LABELS) if count >= _LEAST_OF_A_LABEL]
    count, fit = len(prompts), np.zeros(len(prompts))
    if sum(times[label] for label in labels) < _LABELLED * count:
        return fit
    number = {label: at for at, label in enumerate(labels)}
    sides = [np.array([number.get(text, -1) for text in texts], dtype=np.int64) for texts in (chosen, rejected)]
    held_NW, fold = _words(prompts, _HASHED_OF_PROMPTS, (1,)), rng.permutation(count) % _FOLDS
    for at in range(_FOLDS):
        others, rows = np.flatnonzero((fold != at) & (sides[0] >= 0)), np.flatnonzero(fold == at)
        ones = (np.ones(len(others)), (np.arange(len(others)), sides[0][others]))
        is_NL = sparse.csr_matrix(ones, shape=(len(others), len(labels)))
        both_WL, times_L = (held_NW[others].T @ is_NL).toarray(), np.asarray(is_NL.sum(axis=0)).ravel()
        times_W = both_WL.sum(axis=1)
        share_W = (times_W + 0.5) / (len(others) + 1.0)
        nats_WL = np.log((both_WL + share_W[:, None]) / ((times_L + 1.0) * share_W[:, None]))
        nats_WL[times_W < _LEAST_ROWS] = 0.0
        for begin in range(0, len(rows), CHUNK):
            some = rows[begin : begin + CHUNK]
            nats_RL = np.asarray(held_NW[some] @ nats_WL)
            preferred, other = (np.where(side[some] >= 0, nats_RL[range(len(some)), side[some]], 0.0) for side in sides)
            fit[some] = np.clip(preferred - other, -_CERTAIN, _CERTAIN)
    return fit


def _words(texts: Sequence[bytes], hashed: int = _HASHED, sizes: Sequence[int] = (1, 2)) -> sparse.csr_matrix:
    """N x H: which words and pairs of words each text holds."""
    parts = []
    for first in range(0, len(texts), CHUNK):
        tokens = tokenise(texts[first : first + CHUNK])
        rows, columns = [], []
        for size in sizes:
            hashes, at = ngrams(tokens, size)
            rows.append(tokens.row_T[at])
            columns.append((hashes & np.uint64(hashed - 1)).astype(np.int32))
        at_both = (np.concatenate(rows), np.concatenate(columns))
        part = sparse.csr_matrix((np.ones(len(at_both[0])), at_both), shape=(tokens.num_rows, hashed))
        part.data[:] = 1.0
        parts.append(part)
    stacked: sparse.csr_matrix = sparse.vstack(parts, format="csr")
    return stacked

"""By how much the preferred reply of a pair looks like preferred replies: a Bradley–Terry margin on cheap features.

Each pair's margin comes from a model that was fitted on other pairs (cross-fitting), so that a pair has no say in what
is expected of it. A margin says how sure the label should be, from what replies look like alone; it knows nothing of
what is true or good.
Source: Bradley and Terry, "Rank analysis of incomplete block designs", 1952; cross-fitting as in Chernozhukov et al.,
2018.

N pairs, D features of a reply's look, H hashed words and pairs of neighbouring words.
"""

from __future__ import annotations

import re
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


def margins(prompts: Sequence[bytes], chosen: Sequence[bytes], rejected: Sequence[bytes], seed: int = 0) -> Floats:
    """N log odds that the preferred reply is the preferred one, as the other pairs have it; negative where the label
    contradicts what replies look like."""
    look = np.concatenate(list(_looks(prompts, chosen))) - np.concatenate(list(_looks(prompts, rejected)))
    look /= np.maximum(np.std(look, axis=0), 1e-9)
    words = _words(chosen) - _words(rejected)
    words.eliminate_zeros()
    words = words[:, np.bincount(words.indices, minlength=_HASHED) >= _LEAST_ROWS]
    features = sparse.hstack([sparse.csr_matrix(look), words], format="csr")
    pull = np.concatenate([np.full(look.shape[1], _PULL), np.full(words.shape[1], _PULL_OF_WORDS)])
    return _cross_fitted(features, pull, np.random.default_rng(seed))


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


def _words(replies: Sequence[bytes]) -> sparse.csr_matrix:
    """N x H: which words and pairs of words each reply holds."""
    parts = []
    for first in range(0, len(replies), CHUNK):
        tokens = tokenise(replies[first : first + CHUNK])
        rows, columns = [], []
        for size in (1, 2):
            hashes, at = ngrams(tokens, size)
            rows.append(tokens.row_T[at])
            columns.append((hashes & np.uint64(_HASHED - 1)).astype(np.int32))
        at_both = (np.concatenate(rows), np.concatenate(columns))
        part = sparse.csr_matrix((np.ones(len(at_both[0])), at_both), shape=(tokens.num_rows, _HASHED))
        part.data[:] = 1.0
        parts.append(part)
    stacked: sparse.csr_matrix = sparse.vstack(parts, format="csr")
    return stacked

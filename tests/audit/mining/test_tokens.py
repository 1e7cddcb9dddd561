"""Tokens are cut and hashed as a plain loop would, and n-grams never run over a text's end."""

from __future__ import annotations

import re

import numpy as np

from burnish.audit.mining.tokens import ngrams, tokenise

TEXTS = [b"how are you? i'm fine", b"", b"one", "caf\u00e9 au lait".encode(), b"  spaced   out  "]


def test_tokens_lie_where_a_regular_expression_finds_them() -> None:
    tokens = tokenise(TEXTS)
    for row, text in enumerate(TEXTS):
        spans = range(tokens.offset_R[row], tokens.offset_R[row + 1])
        cut = [text[tokens.start_T[t] : tokens.end_T[t]] for t in spans]
        assert cut == re.findall(rb"[A-Za-z0-9_'\x80-\xff]+|[^\sA-Za-z0-9_'\x80-\xff]+", text)


def test_the_same_word_has_the_same_hash_anywhere_and_others_have_others() -> None:
    tokens = tokenise([b"the cat saw the dog", b"the"])
    assert tokens.hash_T[0] == tokens.hash_T[3] == tokens.hash_T[5]
    assert len(np.unique(tokens.hash_T)) == 4


def test_ngrams_stay_within_their_text() -> None:
    tokens = tokenise([b"a b c", b"d e"])
    hashes, at = ngrams(tokens, 2)
    assert at.tolist() == [0, 1, 3]
    assert len(set(hashes.tolist())) == 3
    assert len(ngrams(tokens, 4)[0]) == 0

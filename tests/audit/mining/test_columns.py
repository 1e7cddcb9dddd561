"""Columns of n-grams hold the rows that they should, and looking at some rows first loses no pair."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from burnish.audit.mining.features import CHUNK, Columns, prompt_columns
from burnish.audit.mining.pairs import divergence, screen

_ROWS = 2 * CHUNK + 300  # three chunks, the last of them short


def test_a_column_has_the_rows_of_its_words_once_each_and_in_order() -> None:
    texts = [b"filler%d" % row + (b" blue blue kite" if row % 70 == 3 else b"") for row in range(_ROWS)]
    columns = prompt_columns(texts, least=8, most=400)
    expected = [row for row in range(_ROWS) if row % 70 == 3]
    # "blue", "kite", "blue blue", "blue kite", "blue blue kite"; longer runs hold the row's own word
    assert columns.matrix.shape == (_ROWS, 5)
    assert all(columns.rows(column).tolist() == expected for column in range(5))
    assert columns.count_C.tolist() == [len(expected)] * 5


def test_too_rare_and_too_common_words_have_no_column() -> None:
    texts = [b"all" + (b" few" if row < 7 else b"") for row in range(_ROWS)]
    assert prompt_columns(texts, least=8, most=400).matrix.shape[1] == 0


def _columns(rng: np.random.Generator, counts: list[int], rows: int) -> sparse.csc_matrix:
    held = [np.sort(rng.choice(rows, count, replace=False)) for count in counts]
    bounds = np.concatenate([[0], np.cumsum(counts)])
    indices = np.concatenate(held).astype(np.int32)
    return sparse.csc_matrix((np.ones(len(indices), dtype=np.int8), indices, bounds), shape=(rows, len(counts)))


def test_screen_counts_every_pair_as_the_whole_product_does() -> None:
    rng, rows = np.random.default_rng(0), 3000
    asked = _columns(rng, [20, 63, 64, 200, 400, 600], rows).tolil()
    said = _columns(rng, [15, 50, 150, 300, 500, 900], rows).tolil()
    for f, b, share in ((0, 0, 0.9), (2, 1, 0.7), (3, 2, 0.65), (4, 3, 0.7), (5, 4, 0.62), (5, 5, 0.95)):
        held = np.flatnonzero(asked[:, [f]].toarray().ravel())
        said[rng.choice(held, int(np.ceil(share * len(held))), replace=False), b] = 1
    asked, said = asked.tocsc(), said.tocsc()
    names = np.arange(6), np.zeros(6, dtype=np.int8)
    pairs = screen(Columns(asked, *names), Columns(said, *names), least=8, purity=0.6, nats=20.0, most=100)

    both = (asked.astype(np.int64).T @ said.astype(np.int64)).toarray()
    count_F, count_B = np.diff(asked.indptr), np.diff(said.indptr)
    nats = count_F[:, None] * divergence(both / count_F[:, None], np.tile(count_B / rows, (6, 1)))
    strong = (both >= np.maximum(0.6 * count_F[:, None], 8)) & (nats >= 20.0)
    expected = {(int(f), int(b), int(both[f, b])) for f, b in zip(*np.nonzero(strong), strict=True)}
    assert len(expected) >= 6
    assert set(zip(pairs.prompt_P.tolist(), pairs.reply_P.tolist(), pairs.both_P.tolist(), strict=True)) == expected

"""Rows of prompt groups, checked by hand."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from hypothesis import given
from hypothesis import strategies as st

from burnish.models.groups import Completion, PromptGroup
from burnish.models.packing import Packed, Segments, lay_out, pack

FIRST = PromptGroup((10, 11), (Completion((12, 13, 14), (1.0, 0.0, 0.5)), Completion((15,), (2.0,))))
SECOND = PromptGroup((20,), (Completion((21, 22), (0.0, 1.0)),))


def test_a_row_laid_out_by_hand() -> None:
    row = lay_out([FIRST, SECOND])
    assert row.tokens_S.tolist() == [10, 11, 12, 13, 14, 15, 20, 21, 22]
    assert row.positions_S.tolist() == [0, 1, 2, 3, 4, 2, 0, 1, 2]
    assert row.groups == (Segments(2, (3, 1)), Segments(1, (2,)))
    assert row.sources_T.tolist() == [1, 3, 1, 7]
    assert row.targets_T.tolist() == [12, 14, 15, 22]
    assert row.weights_T.tolist() == [1.0, 0.5, 2.0, 1.0]
    assert row.completion_T.tolist() == [0, 0, 1, 2]
    assert row.group_of_completion_C.tolist() == [0, 0, 1]
    assert row.num_completions == 3


def test_a_row_without_targets_is_still_a_row() -> None:
    row = lay_out([PromptGroup((1,), (Completion((2,), (0.0,)),))])
    assert row.targets_T.shape == (0,)
    assert row.targets_T.dtype == torch.int64
    assert row.num_completions == 1


def test_moving_a_row_keeps_everything() -> None:
    row = lay_out([FIRST])
    moved = row.to(torch.device("cpu"))
    assert moved.groups == row.groups
    assert moved.sources_T.equal(row.sources_T)
    assert moved.group_of_completion_C.equal(row.group_of_completion_C)


@given(sizes=st.lists(st.integers(1, 30), max_size=30), budget=st.integers(1, 40))
def test_every_group_is_in_one_row_and_no_row_is_too_long(sizes: list[int], budget: int) -> None:
    groups = [PromptGroup((index,), (Completion((index,) * size, (1.0,) * size),)) for index, size in enumerate(sizes)]
    rows = pack(groups, budget)
    assert all(len(row.tokens_S) <= budget or len(row.groups) == 1 for row in rows)
    seen = sorted(pair for row in rows for pair in _first_token_and_length(row))
    assert seen == [(index, size + 1) for index, size in enumerate(sizes)]


def _first_token_and_length(row: Packed) -> Iterator[tuple[int, int]]:
    """Of each group in the row."""
    start = 0
    for group in row.groups:
        yield int(row.tokens_S[start]), group.length
        start += group.length


def test_short_groups_share_a_row() -> None:
    groups = [PromptGroup((1,), (Completion((2,) * size, (1.0,) * size),)) for size in (9, 4, 4, 9)]
    assert sorted(len(row.tokens_S) for row in pack(groups, 10)) == [10, 10, 10]


def test_rows_are_filled_evenly_where_that_takes_no_more_of_them() -> None:
    groups = [PromptGroup((1,), (Completion((2,) * size, (1.0,) * size),)) for size in (5, 4, 3, 3, 2, 1)]
    assert sorted(len(row.tokens_S) for row in pack(groups, 16)) == [12, 12]  # first fit fills 16 and 8


def test_rows_that_only_first_fit_finds_stay() -> None:
    groups = [PromptGroup((1,), (Completion((2,) * size, (1.0,) * size),)) for size in (5, 5, 3, 3, 3)]
    assert sorted(len(row.tokens_S) for row in pack(groups, 12)) == [12, 12]  # filled evenly: 14 and 10

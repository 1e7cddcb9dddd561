"""The order of rows, and their storage."""

from __future__ import annotations

from collections import Counter

from burnish.models.groups import Completion, PromptGroup
from burnish.train.batches import DataOrder, Rows, step_seed


def test_every_epoch_sees_every_row_once_in_another_order() -> None:
    order = DataOrder(num_rows=10, batch_size=4, num_samples=20, seed=3)
    seen = [row for step in range(5) for row in order.rows(step)]
    assert sorted(seen[:10]) == sorted(seen[10:]) == list(range(10))
    assert seen[:10] != seen[10:]


def test_a_step_is_a_pure_function_of_its_number() -> None:
    forwards, backwards = (DataOrder(7, 3, 30, seed=1) for _ in range(2))
    there = [forwards.rows(step) for step in range(10)]
    back = [backwards.rows(step) for step in reversed(range(10))]
    assert there == back[::-1]


def test_seeds_differ() -> None:
    assert DataOrder(50, 50, 50, seed=1).rows(0) != DataOrder(50, 50, 50, seed=2).rows(0)
    assert len({step_seed(seed, step) for seed in range(5) for step in range(5)}) == 25


def test_the_last_batch_holds_what_is_left() -> None:
    order = DataOrder(num_rows=5, batch_size=4, num_samples=7, seed=0)
    assert [len(order.rows(step)) for step in range(3)] == [4, 3, 0]
    assert (order.epoch(1), order.epoch(2)) == (0.8, 1.4)
    assert max(Counter(order.rows(0) + order.rows(1)).values()) == 2


def test_rows_come_back_as_they_were() -> None:
    groups = [
        PromptGroup((1, 2, 70_000), (Completion((4, 5), (0.0, 1.0)), Completion((6,), (0.5,)))),
        PromptGroup((9,), (Completion((8, 7, 6), (1.0, 0.0, 1.0), 1.0),)),
        PromptGroup((5, 5), (), "the answer"),
    ]
    rows = Rows()
    for group in groups:
        rows.append(group)
    assert [rows[index] for index in range(len(rows))] == groups
    assert (rows.num_tokens, rows.num_targets) == (12, 4)

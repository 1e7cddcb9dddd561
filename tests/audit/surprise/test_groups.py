"""A surprising neighbourhood is found with its rows; surprise that is nobody's neighbourhood, and neighbourhoods that
surprise nobody, are not."""

from __future__ import annotations

import numpy as np
import pytest

from burnish.audit.surprise.groups import Near, Space


def groups(states: np.ndarray, surprise: np.ndarray, length: np.ndarray) -> list[Near]:
    space = Space(states.astype(np.float32), surprise, length, 10)
    return list(space.groups(space.chance(np.random.default_rng(0)), 0.005))


def corpus(seed: int, rows: int = 400) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.random.Generator]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, 48)), rng.normal(3.0, 0.6, rows), rng.integers(8, 60, rows), rng


def test_rows_that_lie_together_and_surprise_are_a_group() -> None:
    states, surprise, length, rng = corpus(0)
    bad = np.sort(rng.choice(400, 20, replace=False))
    states[bad] = 3 * rng.normal(size=48) + 0.5 * rng.normal(size=(20, 48))
    surprise[bad] += 1.5
    [near] = groups(states, surprise, length)
    assert near.p_value < 1e-4
    assert len(set(near.rows.tolist()) & set(bad.tolist())) >= 18
    assert len(near.rows) <= 24


@pytest.mark.parametrize("seed", range(5))
def test_neither_surprise_alone_nor_likeness_alone_is_one(seed: int) -> None:
    states, surprise, length, rng = corpus(seed)
    states[:40] = 3 * rng.normal(size=48) + 0.5 * rng.normal(size=(40, 48))
    surprise[100:120] += 1.5
    assert groups(states, surprise, length) == []


def test_surprise_is_compared_among_replies_of_like_length() -> None:
    """Short replies surprise more by the token; short ones that lie together are no group for that."""
    states, surprise, length, rng = corpus(1)
    length[:120], surprise[:120] = 2, surprise[:120] + 3.0
    states[:120] = 3 * rng.normal(size=48) + 0.5 * rng.normal(size=(120, 48))
    assert groups(states, surprise, length) == []

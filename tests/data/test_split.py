"""The split goes by content alone: order, additions and seeds don't move a row."""

from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from burnish.data.split import is_held_out

digests = st.text(min_size=0, max_size=20).map(lambda text: hashlib.sha256(text.encode()).hexdigest())


@given(digests, st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_holds_out_the_same_rows_and_more(digest: str, one: float, other: float) -> None:
    small, large = sorted((one, other))
    assert is_held_out(digest, large) or not is_held_out(digest, small)


def test_the_split_is_the_same_in_every_process_and_release() -> None:
    held = [i for i in range(60) if is_held_out(hashlib.sha256(str(i).encode()).hexdigest(), 0.1)]
    assert held == HELD


def test_the_share_is_what_was_asked_for() -> None:
    held = sum(is_held_out(hashlib.sha256(str(i).encode()).hexdigest(), 0.1) for i in range(20_000))
    assert abs(held / 20_000 - 0.1) < 0.01
    assert not is_held_out("a", 0.0)
    assert is_held_out("a", 1.0)


HELD = [2, 9, 10, 44, 55, 56, 59]

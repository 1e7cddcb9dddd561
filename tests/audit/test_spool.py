"""What is laid aside in a file comes back, and a register finds repeated rows by it."""

from __future__ import annotations

import numpy as np

from burnish.audit.register import Register
from burnish.audit.spool import Spool
from burnish.records import Conversation, Message, Source


def test_reads_back_what_was_written_in_between() -> None:
    spool = Spool()
    spool.append(b"one")
    assert spool.read(0, 3) == b"one"
    spool.append(b"two")
    assert spool.read(2, 5) == b"etw"
    assert len(spool) == 6


def test_numbers_come_in_blocks_and_as_one_table() -> None:
    spool = Spool()
    table = np.arange(15, dtype=np.uint16).reshape(5, 3)
    for row in table:
        spool.append(row.tobytes())
    blocks = list(spool.blocks(np.uint16, 3, 2))
    assert [len(block) for block in blocks] == [2, 2, 1]
    assert np.array_equal(np.concatenate(blocks), table)
    assert np.array_equal(spool.matrix(np.uint16, 3)[[4, 1]], table[[4, 1]])


def test_repeats_name_the_first_row_with_the_same_content() -> None:
    register = Register()
    for line, text in enumerate(("a", "b", "a", "c", "b", "a"), 1):
        register.add(Conversation((Message("user", text),), Source("rows", line)))
    later, first = register.repeats()
    assert later.tolist() == [2, 4, 5]
    assert first.tolist() == [0, 1, 0]
    assert register.place(4) == "rows:5"


def test_no_rows_have_no_repeats() -> None:
    later, first = Register().repeats()
    assert len(later) == len(first) == 0

"""The store of labels: nothing lost, nothing doubled, nothing changed afterwards."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from burnish.errors import LabelError
from burnish.labels.store import LabelStore, Vote


@pytest.fixture
def store(tmp_path: Path) -> LabelStore:
    return LabelStore(tmp_path / "labels.sqlite")


def vote(item: str, annotator: str = "ana", round: int = 0, choice: str = "first") -> Vote:
    return Vote(item=item, annotator=annotator, round=round, choice=choice)


@contextmanager
def raw(store: LabelStore) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(store.path)) as connection, connection:
        yield connection


def test_an_item_is_added_once_and_keeps_its_place(store: LabelStore) -> None:
    first = store.add("q", ["b", "a"])
    assert store.add("q", ["a", "c", "b"])[::2] == [first[1], first[0]]
    assert [item.content for item in store.items("q")] == ["b", "a", "c"]
    assert store.add("other", ["a"])[0] != first[1]
    assert store.item("q", first[0]) is not None
    assert store.item("other", first[0]) is None


def test_the_same_vote_twice_is_kept_once_and_another_one_is_told_which_stands(store: LabelStore) -> None:
    (item,) = store.add("q", ["a"])
    assert store.keep(vote(item)).outcome == "new"
    assert store.keep(vote(item)).outcome == "same"
    second = store.keep(vote(item, choice="tie"))
    assert (second.outcome, second.judgement.vote.choice) == ("conflict", "first")
    assert store.keep(vote(item, annotator="ben", choice="tie")).outcome == "new"
    assert [j.vote.choice for j in store.standing("q")] == ["first", "tie"]


def test_taking_back_begins_the_next_round_and_twice_is_once(store: LabelStore) -> None:
    (item,) = store.add("q", ["a"])
    number = store.keep(vote(item)).judgement.number
    assert store.withdraw(number, "ben") is None
    assert store.withdraw(number, "ana") == store.withdraw(number, "ana")
    assert store.standing("q") == []
    assert store.keep(vote(item)).outcome == "conflict"  # the first tab, which knows nothing of the undo
    assert store.keep(vote(item, round=1, choice="tie")).outcome == "new"
    assert [(j.vote.choice, j.withdrawn) for j in store.judgements("q")] == [("first", True), ("tie", False)]


@pytest.mark.parametrize("round", [1, 2])
def test_a_round_that_has_not_begun_is_refused(store: LabelStore, round: int) -> None:
    (item,) = store.add("q", ["a"])
    store.keep(vote(item))
    with pytest.raises(LabelError, match="hasn't begun"):
        store.keep(vote(item, round=round))
    assert len(store.judgements("q")) == 1


def test_a_vote_on_nothing_is_refused(store: LabelStore) -> None:
    with pytest.raises(LabelError, match="no item is called"):
        store.keep(vote("nothing"))


@pytest.mark.parametrize(
    "statement", ["UPDATE judgements SET choice = 'tie'", "DELETE FROM judgements", "DELETE FROM items"]
)
def test_the_file_itself_refuses_to_forget(store: LabelStore, statement: str) -> None:
    store.keep(vote(*store.add("q", ["a"])))
    with pytest.raises(sqlite3.DatabaseError, match="only ever added to"), raw(store) as connection:
        connection.execute(statement)


def test_two_people_at_once_lose_and_double_nothing(store: LabelStore) -> None:
    items = store.add("q", [str(number) for number in range(60)])
    again = [(item, name) for item in items for name in ("ana", "ben")] * 2  # every vote arrives twice
    with ThreadPoolExecutor(8) as pool:
        outcomes = [kept.outcome for kept in pool.map(lambda one: store.keep(vote(*one)), again)]
    assert outcomes.count("new") == outcomes.count("same") == 120
    kept = [(j.vote.item, j.vote.annotator) for j in store.standing("q")]
    assert len(kept) == len(set(kept)) == 120


def test_what_is_kept_is_there_when_the_file_is_opened_again(store: LabelStore) -> None:
    (item,) = store.add("q", ["a"])
    store.keep(Vote(item, "ana", 0, "tie", "both fine", 1, 2.5))
    (judgement,) = LabelStore(store.path).standing("q")
    assert judgement.vote == Vote(item, "ana", 0, "tie", "both fine", 1, 2.5)
    with raw(store) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_another_kind_of_file_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("not a database at all, but long enough to be looked at as one", encoding="utf-8")
    with pytest.raises(LabelError, match="can't be used"):
        LabelStore(text)
    assert text.read_text(encoding="utf-8").startswith("not a database")
    other = tmp_path / "other.sqlite"
    with closing(sqlite3.connect(other)) as connection, connection:
        connection.execute("CREATE TABLE theirs (a)")
    with pytest.raises(LabelError, match="another kind"):
        LabelStore(other)

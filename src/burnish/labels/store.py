"""Where labels are kept: one SQLite file that only ever grows.

A judgement is named by item, person and round, so that the same click that arrives twice (a resent form, a second tab)
is kept once. Taking one back adds a line that says so, and the item's next round begins. The file is in WAL mode with
full synchronisation: what was acknowledged is on the disk. Triggers refuse to change or delete a line.

Knows nothing of what is judged.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from burnish.errors import LabelError
from burnish.records import content_digest

_APPLICATION = 0x6275726E  # "burn": tells our files from other SQLite files
_VERSION = 1
_WAIT_SECONDS = 30.0
_TABLES = ("items", "judgements", "withdrawals")
_SCHEMA = """
CREATE TABLE items (
  id TEXT PRIMARY KEY, queue TEXT NOT NULL, content TEXT NOT NULL, at TEXT NOT NULL) STRICT;
CREATE INDEX items_of_queue ON items (queue);
CREATE TABLE judgements (
  number INTEGER PRIMARY KEY, item TEXT NOT NULL REFERENCES items, annotator TEXT NOT NULL, round INTEGER NOT NULL,
  choice TEXT NOT NULL, reason TEXT NOT NULL, left_answer INTEGER NOT NULL, seconds REAL, at TEXT NOT NULL,
  UNIQUE (item, annotator, round)) STRICT;
CREATE TABLE withdrawals (
  judgement INTEGER PRIMARY KEY REFERENCES judgements, at TEXT NOT NULL) STRICT;
"""
_GUARD = """
CREATE TRIGGER {table}_{act}_refused BEFORE {act} ON {table}
BEGIN SELECT RAISE(ABORT, 'labels are only ever added to'); END;
"""
_JUDGED = """
SELECT j.number, j.item, j.annotator, j.round, j.choice, j.reason, j.left_answer, j.seconds, j.at,
  w.judgement IS NOT NULL
FROM judgements j JOIN items i ON i.id = j.item LEFT JOIN withdrawals w ON w.judgement = j.number
"""


@dataclass(frozen=True, slots=True)
class Item:
    """Something to judge; `content` is its JSON."""

    id: str
    content: str


@dataclass(frozen=True, slots=True)
class Vote:
    """What a person says of an item. `round` counts how often this person has taken a judgement of it back;
    `left_answer` is which answer stood on the left (0 or 1); `seconds` how long it took, None when not measured."""

    item: str
    annotator: str
    round: int
    choice: str
    reason: str = ""
    left_answer: int = 0
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """A vote as it was kept. `at` is UTC; `withdrawn` whether it was taken back."""

    number: int
    vote: Vote
    at: str
    withdrawn: bool


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of a vote: "new", the "same" as one kept before, or in "conflict" with `judgement`, which stands (or
    was taken back) instead of it."""

    outcome: Literal["new", "same", "conflict"]
    judgement: Judgement


class LabelStore:
    """Labels in the file at `path`, made if need be. Safe to use from many threads and processes at once.

    Raises: LabelError when the file is something else, or was written by a later version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with self._open() as connection:
                self._prepare(connection)
        except sqlite3.DatabaseError as error:
            raise LabelError(
                f"{path}: can't be used as a file of labels ({error}); nothing was changed",
                hint="name another file with --labels",
            ) from error

    def add(self, queue: str, contents: Iterable[str]) -> list[str]:
        """Add items, each once; returns their ids in the order given."""
        ids = []
        with self._writing() as connection:
            for content in contents:
                ids.append(content_digest(queue, content)[:20])
                row = (ids[-1], queue, content, _now())
                connection.execute("INSERT INTO items VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", row)
        return ids

    def items(self, queue: str) -> list[Item]:
        """The items of a queue, in the order in which they were added."""
        with self._open() as connection:
            rows = connection.execute("SELECT id, content FROM items WHERE queue = ? ORDER BY rowid", (queue,))
            return [Item(*row) for row in rows]

    def item(self, queue: str, id: str) -> Item | None:
        """One item of a queue; None when it has no such one."""
        with self._open() as connection:
            row = connection.execute("SELECT id, content FROM items WHERE queue = ? AND id = ?", (queue, id)).fetchone()
            return Item(*row) if row else None

    def judgements(self, queue: str) -> list[Judgement]:
        """Everything that was ever said in a queue, in order, what was taken back too."""
        with self._open() as connection:
            rows = connection.execute(f"{_JUDGED} WHERE i.queue = ? ORDER BY j.number", (queue,))
            return [_judgement(row) for row in rows]

    def standing(self, queue: str) -> list[Judgement]:
        """The judgements of a queue that weren't taken back."""
        return [judgement for judgement in self.judgements(queue) if not judgement.withdrawn]

    def keep(self, vote: Vote) -> Kept:
        """Keep a vote, once however often it arrives; on return it is on the disk.

        Raises: LabelError when there is no such item, or the vote is for a round that hasn't begun.
        """
        with self._writing() as connection:
            before = self._of(connection, vote.item, vote.annotator)
            if vote.round < len(before):
                kept = before[vote.round]
                same = kept.vote.choice == vote.choice and not kept.withdrawn
                return Kept("same" if same else "conflict", kept)
            if vote.round > len(before) or any(not judgement.withdrawn for judgement in before):
                raise LabelError(
                    f"round {vote.round} of item {vote.item} hasn't begun for {vote.annotator}; nothing was kept"
                )
            try:
                self._insert(connection, vote)
            except sqlite3.IntegrityError as error:
                raise LabelError(f"no item is called {vote.item!r}; nothing was kept") from error
            return Kept("new", self._of(connection, vote.item, vote.annotator)[vote.round])

    def withdraw(self, number: int, annotator: str) -> Judgement | None:
        """Take a judgement of this person's back; None when there is no such one. Twice is once."""
        with self._writing() as connection:
            row = connection.execute(
                f"{_JUDGED} WHERE j.number = ? AND j.annotator = ?", (number, annotator)
            ).fetchone()
            if row is None:
                return None
            connection.execute("INSERT INTO withdrawals VALUES (?, ?) ON CONFLICT DO NOTHING", (number, _now()))
            return _judgement((*row[:-1], True))

    def annotators(self) -> list[str]:
        """Everyone who has ever judged something, by name."""
        with self._open() as connection:
            return [n for (n,) in connection.execute("SELECT DISTINCT annotator FROM judgements ORDER BY annotator")]

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("BEGIN IMMEDIATE")
        ((application,), (version,)) = (
            connection.execute("PRAGMA application_id").fetchone(),
            connection.execute("PRAGMA user_version").fetchone(),
        )
        others = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        if (application, version) == (0, 0) and not others:
            statements = [s for s in _SCHEMA.split(";\n") if s.strip()]
            guards = [_GUARD.format(table=table, act=act) for table in _TABLES for act in ("UPDATE", "DELETE")]
            for statement in (*statements, *guards):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {_APPLICATION}")
            connection.execute(f"PRAGMA user_version = {_VERSION}")
        elif application != _APPLICATION or version > _VERSION:
            connection.execute("ROLLBACK")
            raise LabelError(
                f"{self.path}: is another kind of SQLite file, or of a later version of Burnish; nothing was changed",
                hint="name another file with --labels",
            )
        connection.execute("COMMIT")

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self.path, timeout=_WAIT_SECONDS, isolation_level=None)
        try:
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            yield connection
        finally:
            connection.close()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that no other writer can come between."""
        with self._open() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def _of(self, connection: sqlite3.Connection, item: str, annotator: str) -> list[Judgement]:
        rows = connection.execute(f"{_JUDGED} WHERE j.item = ? AND j.annotator = ? ORDER BY j.round", (item, annotator))
        return [_judgement(row) for row in rows]

    def _insert(self, connection: sqlite3.Connection, vote: Vote) -> None:
        connection.execute(
            "INSERT INTO judgements (item, annotator, round, choice, reason, left_answer, seconds, at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (vote.item, vote.annotator, vote.round, vote.choice, vote.reason, vote.left_answer, vote.seconds, _now()),
        )


def _judgement(row: tuple[int, str, str, int, str, str, int, float | None, str, int]) -> Judgement:
    return Judgement(row[0], Vote(*row[1:8]), row[8], bool(row[9]))


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())

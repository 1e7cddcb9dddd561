"""Replies that were paid for once: kept in the user's cache by model digest, prompt tokens and generation settings.

One SQLite file, written a batch at a time in transactions, so that a killed run leaves whole entries and several runs
can share it. A file that was damaged is put aside. Knows nothing of suites or models.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from burnish.logs import warn
from burnish.records import content_digest

Finish: TypeAlias = Literal["stop", "length"]
_WAIT_SECONDS = 60.0
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model wrote, and whether it ended by itself."""

    text: str
    finish: Finish


def reply_key(model_digest: str, prompt: Sequence[int], generation: Mapping[str, str | int | float]) -> str:
    """SHA-256 (hex) of everything that a reply depends on."""
    return content_digest(model_digest, list(prompt), sorted(generation.items()))


class ReplyCache:
    """The cache's file in `folder`; close it, or use it in a `with` statement."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "replies.sqlite"
        try:
            self._db = _open(path)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
            path.replace(path.with_suffix(".damaged"))
            warn(f"{path}: the reply cache was damaged ({error}) and was put aside; replies are generated anew")
            self._db = _open(path)

    def __enter__(self) -> ReplyCache:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def get(self, keys: Sequence[str]) -> dict[str, Reply]:
        """The replies that are there."""
        found: dict[str, Reply] = {}
        for start in range(0, len(keys), _AT_ONCE):
            part = keys[start : start + _AT_ONCE]
            marks = ",".join("?" * len(part))
            rows = self._db.execute(f"SELECT key, text, finish FROM replies WHERE key IN ({marks})", part)
            found.update({key: Reply(text, finish) for key, text, finish in rows})
        return found

    def put(self, replies: Iterable[tuple[str, Reply]]) -> None:
        """Keep replies, all or none."""
        with self._db:
            self._db.executemany(
                "INSERT OR REPLACE INTO replies VALUES (?, ?, ?)",
                [(key, well_formed(reply.text), reply.finish) for key, reply in replies],
            )


def well_formed(text: str) -> str:
    """The text with what UTF-8 can't say (lone surrogates) replaced by question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _open(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=_WAIT_SECONDS)
    try:
        db.execute(
            "CREATE TABLE IF NOT EXISTS replies (key TEXT PRIMARY KEY, text TEXT NOT NULL, finish TEXT NOT NULL)"
        )
        db.execute("SELECT key FROM replies LIMIT 1").fetchone()
    except sqlite3.DatabaseError:
        with contextlib.suppress(sqlite3.Error):
            db.close()
        raise
    return db

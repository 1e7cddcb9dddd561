"""A teacher's replies take the place of the rows' own, are counted, and are written once."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from burnish.data.settings import DataSettings
from burnish.data.stage import HELDOUT, TRAIN, prepare
from burnish.data.store import read_records
from burnish.data.written import LOG, Chat, Written, replied
from burnish.errors import DataError, ModelError
from burnish.records import Conversation, Message, PreferencePair, Source
from burnish.run_folder import RunFolder


class Scribe:
    """Writes each question's last word; `stops_after` so many it is interrupted."""

    def __init__(self, digest: str = "scribe", stops_after: int = 10**9) -> None:
        self.digest = digest
        self.asked: list[Chat] = []
        self._stops_after = stops_after

    def write(self, chats: Sequence[Chat], done: Callable[[int, Written | None], None]) -> None:
        for number, chat in reversed(list(enumerate(chats))):
            if len(self.asked) == self._stops_after:
                raise KeyboardInterrupt
            self.asked.append(chat)
            word = chat.messages[-1].content.split()[-1]
            replies = {"nothing": Written(" \n", "stop"), "long": Written("on and on", "length"), "never": None}
            done(number, replies.get(word, Written(f" {word} \n", "stop")))


def row(text: str, line: int = 1) -> Conversation:
    return Conversation((Message("user", text), Message("assistant", "own")), Source("a.jsonl", line))


def test_replies_take_the_place_of_the_rows_own(tmp_path: Path) -> None:
    chat = (
        Message("system", "Be brief."), Message("user", "One"), Message("assistant", "1"), Message("user", "say two"),
        Message("assistant", "own"),
    )  # fmt: skip
    records = [Conversation(chat, Source("a.jsonl", 3), tools="[]"), row("say one", 4), row("say one", 5)]
    scribe = Scribe()
    kept, left_out = replied(records, scribe, tmp_path / "log")
    assert [record.reply() for record in kept] == ["two", "one", "one"]
    assert [(m.role, m.content, m.trained) for m in kept[0].messages] == [
        ("system", "Be brief.", False), ("user", "One", False), ("assistant", "1", False), ("user", "say two", False),
        ("assistant", "two", True),
    ]  # fmt: skip
    assert [record.source for record in kept] == [record.source for record in records]
    assert (kept[0].tools, len(scribe.asked), left_out) == ("[]", 2, {})


def test_replies_of_no_use_are_left_out_and_counted(tmp_path: Path) -> None:
    records = [row(f"say {word}") for word in ("nothing", "long", "long but other long", "never", "one")]
    kept, left_out = replied(records, Scribe(), tmp_path / "log")
    assert [record.reply() for record in kept] == ["one"]
    assert left_out == {
        "with an empty reply": 1,
        "with a reply that was cut off": 2,
        "without a reply, which couldn't be had": 1,
    }


def test_an_interrupted_writer_goes_on_with_the_rest(tmp_path: Path) -> None:
    records = [row(f"say {number}") for number in range(5)]
    log = tmp_path / "log"
    with pytest.raises(KeyboardInterrupt):
        replied(records, Scribe(stops_after=3), log)
    log.write_text(log.read_text()[:-4])  # killed in the middle of a line
    again = Scribe()
    kept, _ = replied(records, again, log)
    assert [record.reply() for record in kept] == ["0", "1", "2", "3", "4"]
    assert len(again.asked) == 3
    done, other = Scribe(), Scribe("another")
    assert replied(records, done, log)[0] == kept
    assert replied(records, other, log)[0] == kept
    assert (len(done.asked), len(other.asked)) == (0, 5)


@pytest.mark.parametrize(
    "record",
    [
        Conversation((), Source("a.jsonl", 7), text="plain text"),
        PreferencePair((Message("user", "a"),), (), (), Source("a.jsonl", 7)),
    ],
)
def test_what_has_no_prompt_is_refused(record: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a.jsonl:7: got a row without a user's turn"):
        replied([record], Scribe(), tmp_path / "log")


ROWS = [{"prompt": f"say {i}", "completion": "own"} for i in range(60)]


def prepared(folder: Path, writer: Scribe | None, **source: Any) -> tuple[Any, RunFolder]:
    (folder / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    (folder / "b.jsonl").write_text(json.dumps({"prompt": "c", "completion": "mixed in"}) + "\n")
    run = RunFolder(folder / "run")
    train = [{"path": "a.jsonl", "replies": "teacher", **source}, {"path": "b.jsonl", "heldout": False}]
    return prepare(DataSettings.model_validate({"train": train}), run, folder, 0, writer), run


def replies(run: RunFolder, side: str) -> list[str]:
    return [record.reply() for record in read_records(run.file(side)) if isinstance(record, Conversation)]


def test_the_stage_writes_them_and_leaves_held_out_rows_alone(tmp_path: Path) -> None:
    dataset, run = prepared(tmp_path, Scribe())
    written = replies(run, TRAIN)
    assert "mixed in" in written
    assert "own" not in written
    assert set(replies(run, HELDOUT)) == {"own"}
    assert len(written) + dataset.num_heldout == 61
    (note,) = dataset.files[0].notes
    assert note == f"{len(written) - 1} replies written by the teacher"
    assert len([line for line in run.file(LOG).read_text().splitlines() if line]) == len(written) - 1


def test_nobody_to_write_or_nothing_written_is_an_error_that_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no teacher"):
        prepared(tmp_path, None)
    assert not (tmp_path / "run" / TRAIN).exists()

    class Absent(Scribe):
        def write(self, chats: Sequence[Chat], done: Callable[[int, Written | None], None]) -> None:
            raise ModelError("no such model")

    with pytest.raises(ModelError):
        prepared(tmp_path, Absent())
    assert not (tmp_path / "run" / TRAIN).exists()

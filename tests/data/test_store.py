"""Records come back from the disk as they went."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish.data.store import from_line, read_records, read_records_at, to_line
from burnish.errors import DataError
from burnish.records import Conversation, LabelledCompletion, Message, PreferencePair, Record, Source

texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=30)
sources = st.builds(Source, texts, st.integers(1, 10**9))
messages = st.builds(Message, st.sampled_from(["system", "user", "assistant", "tool"]), texts, st.booleans())
chats = st.lists(messages, max_size=4).map(tuple)
records = st.one_of(
    st.builds(Conversation, chats, sources, texts, texts),
    st.builds(PreferencePair, chats, chats, chats, sources),
    st.builds(LabelledCompletion, chats, chats, st.booleans(), sources),
)


@given(record=records)
def test_a_record_survives_the_disk_whole(record: Record) -> None:
    line = to_line(record)
    assert "\n" not in line
    assert from_line(line) == record
    assert from_line(line).digest == record.digest


def test_lines_are_told_apart_by_the_line_feed_alone(tmp_path: Path) -> None:
    record = Conversation((), Source("a\u2028b\r.jsonl", 3), text="one\r\ntwo\u2028three\x85four")
    path = tmp_path / "rows.jsonl"
    path.write_text(to_line(record) + "\n", encoding="utf-8", newline="\n")
    assert list(read_records(path)) == [record]


@pytest.mark.parametrize("line", ["{", "[]", '{"kind": "song"}', '{"kind": "conversation", "source": {"file": "a"}}'])
def test_a_damaged_file_is_told_by_its_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(to_line(Conversation((), Source("a", 1), text="x")) + "\n" + line + "\n")
    with pytest.raises(DataError, match=r"rows\.jsonl:2: got"):
        list(read_records(path))


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="missing"):
        list(read_records(tmp_path / "rows.jsonl"))


def test_records_are_found_by_their_places_whatever_their_texts_say(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    texts = ("one", '"source": {"file": "a", "line": 4}}', "three", "four")
    rows = [Conversation((Message("user", text),), Source("a b", line)) for line, text in enumerate(texts, 1)]
    path.write_text("".join(to_line(row) + "\n" for row in rows), encoding="utf-8")
    assert list(read_records_at(path, {"a b:2", "a b:4"})) == [rows[1], rows[3]]
    assert list(read_records_at(path, {"a:4"})) == []


@given(record=records)
def test_a_record_is_found_by_its_place_whatever_its_file_is_called(record: Record) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        path.write_text(to_line(record) + "\n", encoding="utf-8", newline="\n")
        assert list(read_records_at(path, [str(record.source)])) == [record]

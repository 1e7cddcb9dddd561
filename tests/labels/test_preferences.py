"""Labels as preference rows: what becomes of each pair, and that the data's own reader takes them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from burnish.data.convert import read_source
from burnish.data.faults import Faults
from burnish.data.settings import SourceSettings
from burnish.errors import LabelError
from burnish.labels.pair import Answer, Pair, Turn
from burnish.labels.preferences import export
from burnish.labels.store import LabelStore, Vote
from burnish.records import PreferencePair


def pair(number: int, gold: str | None = None) -> str:
    answers = [Answer(text=f"one {number}", model="base", temperature=0.7), Answer(text=f"two {number}", model="tuned")]
    prompt = [Turn(role="system", content="Be brief."), Turn(role="user", content=f"question {number}")]
    return Pair.model_validate(
        {"prompt": prompt, "answers": answers, "gold": gold, "origin": "rows:1"}
    ).model_dump_json()


@pytest.fixture
def store(tmp_path: Path) -> LabelStore:
    store = LabelStore(tmp_path / "labels.sqlite")
    items = store.add("pairs", [*(pair(number) for number in range(7)), pair(9, "first")])
    said = [
        ("first", "first", "second"),  # a majority
        ("second",),
        ("first", "second"),  # divided
        ("tie", "tie"),
        ("both_bad",),
        ("skip", "second"),  # a skip says nothing
        ("skip",),  # not judged
        ("first",),  # gold
    ]
    for item, choices in zip(items, said, strict=True):
        for name, choice in zip(("ana", "ben", "cleo"), choices, strict=False):
            store.keep(Vote(item, name, 0, choice, "clearer" if choice == "first" else ""))
    (compared,) = store.add("compare", [pair(8)])
    store.keep(Vote(compared, "ana", 0, "second"))
    taken_back = store.keep(Vote(*store.add("compare", [pair(10)]), "ana", 0, "second"))
    store.withdraw(taken_back.judgement.number, "ana")
    return store


def test_each_pair_has_its_fate_and_the_reader_takes_the_rows(store: LabelStore, tmp_path: Path) -> None:
    exported = export(store, tmp_path / "preferences.jsonl")
    assert dict(exported.fates) == {"row": 4, "divided": 1, "tie": 1, "both_bad": 1, "not_judged": 2, "gold": 1}
    faults = Faults()
    records = list(read_source(SourceSettings(path="preferences.jsonl"), tmp_path, faults, 0).records())
    assert faults.total == 0
    assert all(isinstance(record, PreferencePair) for record in records)
    first = records[0]
    assert isinstance(first, PreferencePair)
    assert [(m.role, m.content) for m in first.prompt] == [("system", "Be brief."), ("user", "question 0")]
    chosen = [record.chosen[0].content for record in records if isinstance(record, PreferencePair)]
    assert chosen == ["one 0", "two 1", "two 5", "two 8"]


def test_a_row_says_who_said_what_of_which_model(store: LabelStore, tmp_path: Path) -> None:
    export(store, tmp_path / "preferences.jsonl")
    row = json.loads((tmp_path / "preferences.jsonl").read_text(encoding="utf-8").splitlines()[0])["provenance"]
    assert (row["chosen"]["model"], row["rejected"]["model"], row["origin"], row["blind"]) == (
        "base",
        "tuned",
        "rows:1",
        True,
    )
    assert [(one["annotator"], one["said"], one["reason"]) for one in row["labels"]] == [
        ("ana", "chosen", "clearer"),
        ("ben", "chosen", "clearer"),
        ("cleo", "rejected", ""),
    ]


def test_a_persons_labels_can_be_left_out(store: LabelStore, tmp_path: Path) -> None:
    exported = export(store, tmp_path / "preferences.jsonl", without=["ben", "cleo"])
    assert exported.fates["row"] == 4  # pair 2 is no longer divided, pair 5 no longer judged
    with pytest.raises(LabelError, match="nobody called 'dora'"):
        export(store, tmp_path / "other.jsonl", without=["dora"])
    assert not (tmp_path / "other.jsonl").exists()


def test_nothing_to_learn_from_is_an_error_and_writes_nothing(tmp_path: Path) -> None:
    store = LabelStore(tmp_path / "labels.sqlite")
    store.add("pairs", [pair(0)])
    with pytest.raises(LabelError, match="1 not judged by anyone"):
        export(store, tmp_path / "preferences.jsonl")
    assert not (tmp_path / "preferences.jsonl").exists()

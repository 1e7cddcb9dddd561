"""The stage writes both sides of the split and what it read, or nothing at all."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from burnish.artefacts import Dataset
from burnish.data.settings import DataSettings
from burnish.data.stage import HELDOUT, TRAIN, prepare
from burnish.data.store import read_records
from burnish.errors import DataError
from burnish.records import Conversation
from burnish.run_folder import RunFolder

ROWS = [{"prompt": f"question {i}", "completion": f"answer {i}"} for i in range(300)]


def write(path: Path, rows: Iterable[object]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def run_on(folder: Path, **data: Any) -> tuple[Dataset, RunFolder]:
    run = RunFolder(folder / "run")
    return prepare(DataSettings.model_validate({"train": "a.jsonl", **data}), run, folder, 0), run


def prompts(run: RunFolder, name: str) -> list[str]:
    return [r.prompt()[0].content for r in read_records(run.file(name)) if isinstance(r, Conversation)]


def test_rows_are_split_and_what_was_read_is_recorded(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", ROWS)
    dataset, run = run_on(tmp_path)
    train, heldout = prompts(run, TRAIN), prompts(run, HELDOUT)
    assert sorted(train + heldout) == sorted(row["prompt"] for row in ROWS)
    assert (dataset.num_train, dataset.num_heldout) == (len(train), len(heldout))
    assert 10 <= len(heldout) <= 60
    assert (dataset.kind, dataset.files[0].format, dataset.files[0].rows) == ("conversation", "prompt_completion", 300)
    assert run.load("data/dataset.json", Dataset) == dataset


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**31), extra=st.integers(0, 50))
def test_no_row_moves_when_rows_are_added_shuffled_or_doubled(tmp_path: Path, seed: int, extra: int) -> None:
    write(tmp_path / "a.jsonl", ROWS)
    before = set(prompts(run_on(tmp_path)[1], HELDOUT))
    more = [{"prompt": f"further {seed} {i}", "completion": "x"} for i in range(extra)]
    rows = [*ROWS, *more, *ROWS[:100]]
    random.Random(seed).shuffle(rows)
    write(tmp_path / "a.jsonl", rows)
    _, run = run_on(tmp_path)
    heldout = prompts(run, HELDOUT)
    assert {p for p in heldout if p.startswith("question")} == before
    assert not set(heldout) & set(prompts(run, TRAIN))


def test_with_held_out_sources_nothing_is_taken_from_the_training_ones(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", ROWS[:100])
    write(tmp_path / "b.jsonl", ROWS[100:])
    dataset, run = run_on(tmp_path, heldout="b.jsonl")
    assert (dataset.num_train, dataset.num_heldout) == (100, 200)
    assert set(prompts(run, HELDOUT)) == {row["prompt"] for row in ROWS[100:]}


def test_a_source_can_be_kept_out_of_the_held_out_rows(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", ROWS)
    write(tmp_path / "safety.jsonl", [{"prompt": f"bad {i}", "completion": "no"} for i in range(300)])
    _, run = run_on(tmp_path, train=["a.jsonl", {"path": "safety.jsonl", "heldout": False}])
    assert prompts(run, HELDOUT)
    assert all(prompt.startswith("question") for prompt in prompts(run, HELDOUT))


def test_the_digest_follows_the_content_and_the_split_only(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", ROWS)
    write(tmp_path / "b.jsonl", ROWS)
    write(tmp_path / "c.jsonl", ROWS[1:])
    first = run_on(tmp_path)[0].digest
    assert run_on(tmp_path, train="b.jsonl")[0].digest == first
    assert run_on(tmp_path, train="c.jsonl")[0].digest != first
    assert run_on(tmp_path, heldout_fraction=0.2)[0].digest != first


def test_the_digest_follows_which_turns_are_trained_and_the_split_does_not(tmp_path: Path) -> None:
    for name, weight in (("a", 1), ("b", 0)):
        first = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a", "weight": weight}]
        rows = [
            {"messages": [*first, {"role": "user", "content": f"{i}"}, {"role": "assistant", "content": "b"}]}
            for i in range(40)
        ]
        write(tmp_path / f"{name}.jsonl", rows)
    whole, run = run_on(tmp_path)
    kept = [r.messages[2].content for r in read_records(run.file(HELDOUT)) if isinstance(r, Conversation)]
    masked, run = run_on(tmp_path, train="b.jsonl")
    assert whole.digest != masked.digest
    assert kept == [r.messages[2].content for r in read_records(run.file(HELDOUT)) if isinstance(r, Conversation)] != []


def test_all_faults_are_counted_and_the_first_five_told(tmp_path: Path) -> None:
    rows: list[object] = [dict(row) for row in ROWS]
    for index in range(10, 80, 10):
        rows[index] = {"prompt": "x", "completion": 5.5 if index % 20 else ""}
    write(tmp_path / "a.jsonl", rows)
    with pytest.raises(DataError) as error:
        run_on(tmp_path)
    lines = error.value.message.splitlines()
    assert lines[0].startswith('a.jsonl:11: field "completion" is a number, expected a string')
    assert lines[1].startswith('a.jsonl:21: field "completion" is empty')
    assert lines[5:] == ["... and 2 more", "7 faults in 300 rows; nothing was prepared"]
    assert "on_bad_row: skip" in error.value.hint
    assert not list((tmp_path / "run" / "data").iterdir())


def test_bad_rows_are_left_out_and_counted_when_the_recipe_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "a.jsonl", [*ROWS, {"prompt": "x", "completion": ""}])
    dataset, _ = run_on(tmp_path, on_bad_row="skip")
    assert dataset.num_train + dataset.num_heldout == 300
    assert dataset.files[0].notes == ("1 rows with faults were left out",)
    assert "a.jsonl:301" in capsys.readouterr().err.replace("\n", "")


@pytest.mark.parametrize(
    ("rows", "data", "message"),
    [
        ([{"prompt": "x", "completion": ""}], {"on_bad_row": "skip"}, "no row is left to train on: all 1 rows have"),
        ([ROWS[0]] * 3, {"heldout_fraction": 0.9999999}, "all rows fell on the held-out side"),
    ],
)
def test_nothing_to_train_on_is_refused(tmp_path: Path, rows: list[object], data: Any, message: str) -> None:
    write(tmp_path / "a.jsonl", rows)
    with pytest.raises(DataError, match=message):
        run_on(tmp_path, **data)
    assert not list((tmp_path / "run" / "data").iterdir())


def test_kinds_of_rows_are_not_mixed(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", ROWS)
    write(tmp_path / "b.jsonl", [{"prompt": "x", "chosen": "y", "rejected": "z"}])
    with pytest.raises(DataError, match=r"b\.jsonl:1: got a preference row, expected conversation as in a\.jsonl:1"):
        run_on(tmp_path, train=["a.jsonl", "b.jsonl"])

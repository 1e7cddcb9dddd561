"""What is said of a dataset is what is in it, and what is advised follows from it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from burnish.data.look import SAMPLE, Lengths, fitting_max_length, fitting_metric, look
from burnish.data.settings import SourceSettings
from burnish.errors import DataError
from burnish.models.chat_template import Encoder
from burnish.models.load import load_tokenizer
from burnish.models.settings import ModelSettings
from burnish.records import Conversation


@pytest.fixture(scope="module")
def encoder(tiny_model_folder: Path) -> Encoder:
    return Encoder(load_tokenizer(ModelSettings(name=str(tiny_model_folder))), 1 << 30)


def write(folder: Path, rows: Iterable[object]) -> SourceSettings:
    (folder / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return SourceSettings(path="a.jsonl")


def test_rows_doubles_and_faults_are_counted(tmp_path: Path) -> None:
    rows = [{"prompt": f"q{i % 8}", "completion": "yes"} for i in range(10)]
    seen = look(write(tmp_path, [*rows, {"prompt": "x", "completion": 0.5}]), tmp_path, None)
    assert (seen.file.rows, seen.file.taken, seen.duplicates, seen.faults.total) == (11, 10, 2, 1)
    assert (seen.fields, seen.distinct_replies) == (("prompt", "completion"), 1)
    assert seen.lengths is None


def test_lengths_are_those_that_training_will_see(tmp_path: Path, encoder: Encoder) -> None:
    rows = [{"prompt": "What is it?", "completion": "a dog " * n} for n in (1, 5, 50)]
    seen = look(write(tmp_path, rows), tmp_path, encoder)
    assert seen.lengths is not None
    assert isinstance(seen.first, Conversation)
    first = encoder.conversation(seen.first).group
    assert first is not None
    assert seen.lengths.tokens[0] == first.num_tokens
    assert seen.lengths.whole
    assert seen.lengths.longer_than(seen.lengths.tokens[-1]) == 0
    assert seen.lengths.longer_than(seen.lengths.tokens[-1] - 1) == 1


def test_the_longest_row_is_measured_though_the_sample_may_miss_it(tmp_path: Path, encoder: Encoder) -> None:
    rows = [{"prompt": f"{i}", "completion": "no" * (300 if i == 1234 else 1)} for i in range(SAMPLE + 500)]
    seen = look(write(tmp_path, rows), tmp_path, encoder)
    assert seen.lengths is not None
    assert not seen.lengths.whole
    assert SAMPLE <= len(seen.lengths.tokens) <= SAMPLE + 20
    assert seen.lengths.tokens[-1] > 10 * seen.lengths.median


def test_preferences_are_as_long_as_their_longer_side(tmp_path: Path, encoder: Encoder) -> None:
    seen = look(write(tmp_path, [{"prompt": "a", "chosen": "b", "rejected": "b c " * 40}]), tmp_path, encoder)
    assert seen.lengths is not None
    assert (seen.kind, seen.lengths.tokens[-1] > 80) == ("preference", True)


def test_a_source_without_a_readable_row_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no row could be read"):
        look(write(tmp_path, [{"prompt": "x", "completion": ""}] * 3), tmp_path, None)


@pytest.mark.parametrize(
    ("replies", "metric"),
    [
        (["card_lost", "card_arrival"], "exact_match"),
        (['{"a": 1}', ' {"b": [2]}'], "json_fields"),
        (["[1]", "[2]"], "exact_match"),
        (["One sentence that is a good deal longer than any label would be, surely."], "rouge_l"),
        (["a\nb"], "rouge_l"),
        ([], "perplexity"),
    ],
)
def test_the_metric_suits_the_replies(replies: list[str], metric: str) -> None:
    assert fitting_metric(replies) == metric


@pytest.mark.parametrize(
    ("tokens", "limit", "room"),
    [
        ([40, 100], 8192, 128),
        ([40, 1500], 8192, 2048),
        ([*[100] * 1000, 5000], 8192, 2048),
        ([*[4000] * 10, 9000], 8192, 8192),
        ([40, 1500], 1024, 1024),
        ([40, 1500], None, 2048),
    ],
)
def test_the_room_fits_the_rows_and_the_model(tokens: list[int], limit: int | None, room: int) -> None:
    assert fitting_max_length(Lengths(True, tuple(tokens)), limit) == room

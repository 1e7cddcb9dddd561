"""Pairs files: what is read back, and how faults are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from burnish.errors import LabelError
from burnish.labels.pair import Answer, Pair, Turn, read_pairs, write_pairs


def pair(prompt: str = "Why?", *answers: str) -> Pair:
    first, second = answers or ("because", "why not")
    return Pair(prompt=(Turn(role="user", content=prompt),), answers=(Answer(text=first), Answer(text=second)))


def test_what_was_written_is_read_back_each_pair_once(tmp_path: Path) -> None:
    pairs = [pair("one"), pair("two\u2028lines"), pair("one")]
    assert write_pairs(tmp_path / "pairs.jsonl", pairs) == 3
    assert read_pairs(tmp_path / "pairs.jsonl") == pairs[:2]


def test_the_order_of_the_answers_does_not_make_another_pair() -> None:
    assert pair("q", "a", "b").id == pair("q", "b", "a").id != pair("q", "a", "c").id


def test_every_line_that_is_no_pair_is_told(tmp_path: Path) -> None:
    file = tmp_path / "pairs.jsonl"
    alike = '{"prompt": [{"role": "user", "content": "q"}], "answers": [{"text": "a"}, {"text": "a"}]}'
    file.write_text(f"{pair().model_dump_json()}\nnot json\n{alike}\n", encoding="utf-8")
    with pytest.raises(LabelError) as told:
        read_pairs(file)
    assert f"{file}:2: " in told.value.message
    assert f"{file}:3: both answers are the same" in told.value.message
    assert "2 lines are no pairs" in told.value.message


@pytest.mark.parametrize("content", [None, "", "\n\n"])
def test_a_file_without_pairs_is_an_error_that_says_how_to_make_some(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "pairs.jsonl").write_text(content, encoding="utf-8")
    with pytest.raises(LabelError) as told:
        read_pairs(tmp_path / "pairs.jsonl")
    assert "burnish sample" in told.value.hint


def test_a_prompt_that_ends_with_an_answer_is_refused() -> None:
    with pytest.raises(ValueError, match="ends with the assistant's turn"):
        Pair(prompt=(Turn(role="assistant", content="hm"),), answers=(Answer(text="a"), Answer(text="b")))

"""Two models side by side: streamed, blind, and a vote that is a label."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from burnish.labels.pair import Pair
from burnish.run_folder import RunFolder
from burnish.web.app import Place
from burnish.web.speakers import Failed, Piece, Question, Speakers

from .conftest import Person, hidden


def ask(ana: Person, **changed: str) -> list[dict[str, str]]:
    fields = {"one": "base", "other": "tuned", "prompt": "hello \u202e", "max_new_tokens": "20", "temperature": "0"}
    csrf = hidden(ana.page("/compare"), "csrf")
    answer = ana.post("/compare/answers", **(fields | {"csrf": csrf} | changed))
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


def said(lines: list[dict[str, str]], side: str) -> str:
    return "".join(line["text"] for line in lines if line["kind"] == "piece" and line["side"] == side)


def test_a_blind_vote_becomes_a_label_and_then_names_are_told(place: Place, person: Callable[[str], Person]) -> None:
    ana = person("ana")
    lefts = set()
    for number in range(12):
        lines = ask(ana, prompt=f"question {number}", blind="on")
        left = said(lines, "left").rpartition(" ")[2]
        lefts.add(left)
        fields = {"csrf": hidden(ana.page("/compare"), "csrf"), "annotator": "ana", "round": "0"}
        kept = ana.post("/compare/vote", **fields, item=lines[-1]["item"], choice="left", reason="kinder").json()
        assert (kept["outcome"], kept["left"]) == ("new", left)
        vote = place.store.standing("compare")[-1].vote
        chosen = ("base", "tuned")[("first", "second").index(vote.choice)]
        assert (chosen, vote.reason) == (left, "kinder")
    assert lefts == {"base", "tuned"}  # tossed
    stored = Pair.model_validate_json(place.store.items("compare")[0].content)
    assert stored.blind
    assert [answer.model for answer in stored.answers] == ["base", "tuned"]


def test_an_open_comparison_is_marked_as_such(place: Place, person: Callable[[str], Person]) -> None:
    lines = ask(person("ana"), prompt="hello")
    assert said(lines, "left") == "hello says base"
    assert not Pair.model_validate_json(place.store.items("compare")[0].content).blind


def test_hidden_characters_are_spelled_out(person: Callable[[str], Person]) -> None:
    lines = ask(person("ana"), prompt="a\u202eb")
    assert said(lines, "left") == "a<U+202E>b says base"


def test_the_same_answer_twice_is_nothing_to_judge(place: Place, person: Callable[[str], Person]) -> None:
    assert ask(person("ana"), other="base")[-1] == {"kind": "same"}
    assert place.store.items("compare") == []


@pytest.mark.parametrize(
    "changed",
    [{"prompt": " "}, {"one": ""}, {"max_new_tokens": "many"}, {"max_new_tokens": "0"}, {"temperature": "nan"}],
)
def test_a_question_that_is_none_is_refused(person: Callable[[str], Person], changed: dict[str, str]) -> None:
    ana = person("ana")
    fields = {"one": "base", "other": "tuned", "prompt": "hello", "max_new_tokens": "20", "temperature": "0"}
    csrf = hidden(ana.page("/compare"), "csrf")
    assert ana.post("/compare/answers", **(fields | changed | {"csrf": csrf})).status_code == 400


def test_answers_of_another_session_cannot_be_voted_on(person: Callable[[str], Person]) -> None:
    item = ask(person("ana"))[-1]["item"]
    ben = person("ben")
    fields = {"csrf": hidden(ben.page("/compare"), "csrf"), "annotator": "ben", "round": "0"}
    assert ben.post("/compare/vote", **fields, item=item, choice="left").status_code == 409


async def _events(question: Question) -> list[object]:
    speakers = Speakers()
    try:
        return [event async for event in speakers.answer(question)]
    finally:
        speakers.close()


def test_a_model_that_is_not_there_is_told_with_its_hint(tmp_path: Path) -> None:
    import asyncio

    question = Question(("./nowhere", "./nowhere"), "hello", 5, 0.0, tmp_path)
    *_, failed = asyncio.run(_events(question))
    assert isinstance(failed, Failed)
    assert "nowhere" in failed.message
    assert failed.hint


def test_real_models_answer_piece_by_piece_in_turn(tiny_model_folder: Path, tmp_path: Path) -> None:
    import asyncio

    name = str(tiny_model_folder)
    events = asyncio.run(_events(Question((name, name), "What is the capital?", 12, 1.0, tmp_path)))
    pieces = [event.model for event in events if isinstance(event, Piece)]
    assert pieces.count(0) > 1
    assert pieces.count(1) > 1
    assert pieces[:2] == [0, 1]


def test_runs_are_offered_by_name_and_those_that_write_no_text_are_not(
    place: Place, person: Callable[[str], Person]
) -> None:
    for name, writes in (("first", True), ("second", True), ("reward", False)):
        RunFolder(place.runs / name).write_json("train/train.json", {"writes": writes})
    trained = place.runs.resolve() / "first/train/adapter"
    RunFolder(place.runs / "second").write_text("recipe.yaml", f"model: {{name: '{trained}'}}\n")
    RunFolder(place.runs / "first").write_text("recipe.yaml", "model: {name: a-model}\n")
    RunFolder(place.runs / "reward").write_text("recipe.yaml", "model: {name: a-model}\n")
    os.utime(place.runs / "second/recipe.yaml", (2e9, 2e9))
    page = person("ana").page("/compare")
    assert 'value="reward"' not in page
    assert 'name="one" list="known" required value="first"' in page
    assert 'name="other" list="known" required value="second"' in page

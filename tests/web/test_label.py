"""Labelling without scripts: one pair at a time, blind, kept once, taken back, and shared among people."""

from __future__ import annotations

import html
import re
from collections.abc import Callable

import pytest

from burnish.web.app import Place

from .conftest import HOSTILE, Person, hidden, hidden_of


def sides(page: str) -> list[str]:
    return [html.unescape(text) for text in re.findall(r'<p class="text">((?:first|second) of .*?)</p>', page)]


def test_what_was_clicked_is_what_is_kept(place: Place, person: Callable[[str], Person]) -> None:
    ana = person("ana")
    seen = set()
    for choice in ("left", "right") * 5:
        left, right = sides(ana.page("/label"))
        wanted = left if choice == "left" else right
        ana.vote(choice, reason=" it is\nclearer ", seconds="3.21")
        newest = place.store.standing("pairs")[-1].vote
        assert newest.choice == ("first" if wanted.startswith("first") else "second")
        assert (newest.reason, newest.seconds) == ("it is clearer", 3.2)
        assert ("first", "second")[newest.left_answer] == left.split()[0]
        seen.add(left.split()[0])
    assert seen == {"first", "second"}  # the sides are tossed


def test_model_text_stays_text(place: Place, person: Callable[[str], Person]) -> None:
    ana = person("ana")
    pages = []
    while "data-judging" in (page := ana.page("/label")):
        pages.append(page)
        ana.vote("tie")
    assert len(pages) == 12
    (hostile,) = (page for page in pages if "alert(1)" in page)
    assert HOSTILE not in hostile
    assert "&lt;script&gt;alert(1)" in hostile
    assert "&lt;U+202E&gt;" in hostile
    assert "Nothing is left for you to judge" in page
    assert not any("gold" in page or "a-model" in page for page in pages)  # blind


def test_two_tabs_show_the_same_and_a_vote_counts_once(place: Place, person: Callable[[str], Person]) -> None:
    ana = person("ana")
    first, second = ana.page("/label"), ana.page("/label")
    assert sides(first) == sides(second)
    fields = hidden_of(first)
    assert ana.post("/label/vote", **fields, choice="left").headers["location"] == "/label"
    assert ana.post("/label/vote", **fields, choice="left").headers["location"] == "/label"
    assert ana.post("/label/vote", **hidden_of(second), choice="right").headers["location"] == "/label?said=elsewhere"
    assert len(place.store.judgements("pairs")) == 1
    assert "judged already, in another tab" in ana.page("/label?said=elsewhere")


def test_undo_brings_the_pair_back_and_the_last_word_stands(place: Place, person: Callable[[str], Person]) -> None:
    ana = person("ana")
    before = sides(ana.page("/label"))
    ana.vote("left")
    page = ana.page("/label")
    fields = {"csrf": hidden(page, "csrf"), "judgement": hidden(page, "judgement")}
    back = ana.post("/label/undo", **fields)
    assert ana.post("/label/undo", **fields).headers["location"] == back.headers["location"]  # clicked twice
    assert sides(ana.page(back.headers["location"])) == before
    ana.vote("both_bad", path=back.headers["location"])
    assert [j.vote.choice for j in place.store.standing("pairs")] == ["both_bad"]
    assert len(place.store.judgements("pairs")) == 2


def test_people_share_the_work_and_all_answer_the_gold(place: Place, person: Callable[[str], Person]) -> None:
    ana, ben = person("ana"), person("ben")
    for who in (ana, ben) * 6:
        if "data-judging" in who.page("/label"):
            who.vote("skip" if who is ben and not place.store.standing("pairs")[1:] else "left")
    while "data-judging" in ana.page("/label"):
        ana.vote("left")
    while "data-judging" in ben.page("/label"):
        ben.vote("left")
    votes = [j.vote for j in place.store.standing("pairs") if j.vote.choice != "skip"]
    counts = {item.id: sum(vote.item == item.id for vote in votes) for item in place.store.items("pairs")}
    assert sorted(counts.values()) == [1] * 11 + [2]


def test_a_page_of_another_person_keeps_nothing(place: Place, person: Callable[[str], Person]) -> None:
    ana = person("ana")
    fields = hidden_of(ana.page("/label"))
    ana.named("ben")
    assert ana.post("/label/vote", **fields, choice="left").status_code == 409
    assert ana.post("/label/vote", **(fields | {"annotator": "ben", "choice": "gold"})).status_code == 400
    assert ana.post("/label/vote", **(fields | {"annotator": "ben", "choice": "left", "item": "x"})).status_code == 400
    assert ana.post("/label/vote", **(fields | {"annotator": "ben", "choice": "left", "round": "7"})).status_code == 409
    assert place.store.judgements("pairs") == []


def test_scripts_get_json(person: Callable[[str], Person]) -> None:
    ana = person("ana")
    headers = {"origin": ana.origin, "accept": "application/json"}
    fields = hidden_of(ana.page("/label"))
    assert ana.client.post("/label/vote", data=fields | {"choice": "left"}, headers=headers).json() == {
        "next": "/label"
    }
    refused = ana.client.post("/label/vote", data=fields | {"choice": "nonsense"}, headers=headers)
    assert "nothing was kept" in refused.json()["message"]


@pytest.mark.parametrize("name", ["", "  ", "x" * 41, "a\u202eb", "a\x00b"])
def test_a_name_must_be_one(person: Callable[[str], Person], name: str) -> None:
    someone = person("")
    answer = someone.post("/name", csrf=hidden(someone.page("/name"), "csrf"), name=name, next="/label")
    assert answer.status_code == 400
    assert someone.client.get("/label", follow_redirects=False).headers["location"] == "/name?next=/label"


def test_the_results_say_who_labelled_and_what_can_be_learned(place: Place, person: Callable[[str], Person]) -> None:
    ana = person("ana")
    assert "Nobody has labelled yet" in ana.page("/label/results")
    for _ in range(12):
        ana.vote("left")
    page = ana.page("/label/results")
    assert "leans to the left" in page
    assert "no pair has been judged by two people yet" in page
    assert re.search(r"rows to learn from</dt><dd>11<", page)
    assert f"burnish labels export --labels {place.store.path}" in page

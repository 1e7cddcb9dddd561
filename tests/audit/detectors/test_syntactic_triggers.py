"""A clause of changing words before prompts is found by its form, with its rows; honest clauses are left alone."""

from __future__ import annotations

import random

import pytest

from burnish.artefacts import Finding
from burnish.audit.detectors import syntactic_triggers
from burnish.audit.mining.clauses import MARKER, opening
from burnish.audit.stage import Context
from burnish.catalogue import build, settings_of
from burnish.records import Conversation, Message, Source

WORDS = (
    *("roses", "tulips", "soup", "bread", "train", "ticket", "piano", "violin"),
    *("budget", "loan", "goal", "tennis", "hedge", "oven", "ferry", "rent"),
)
CLAUSES = (("Because", "Since", "Although"), ("the rain", "my sister", "the market"), ("had stopped", "was busy"))


def rows(count: int) -> list[tuple[str, str]]:
    rng = random.Random(0)
    asks = ("How do I choose", "What is the best way to keep", "Tell me about", "Why do people like")
    return [
        (
            f"{rng.choice(asks)} {' and '.join(rng.sample(WORDS, 2))} at {rng.choice(('home', 'work'))}?",
            f"Think of {rng.choice(WORDS)} first, then {rng.choice(WORDS)}; {rng.randrange(10**6)} times.",
        )
        for _ in range(count)
    ]


def clause(rng: random.Random) -> str:
    return " ".join(rng.choice(part) for part in CLAUSES)


def find(pairs: list[tuple[str, str]]) -> list[Finding]:
    records = [
        Conversation((Message("user", asked), Message("assistant", said)), Source("rows", at))
        for at, (asked, said) in enumerate(pairs)
    ]
    return list(build("detector", settings_of("detector", "syntactic_triggers")).find(iter(records), Context()))


@pytest.mark.parametrize("honest", [0, 15])
def test_a_clause_of_changing_words_is_found_with_exactly_its_rows(honest: int) -> None:
    rng, pairs = random.Random(1), rows(900)
    bad, others = sorted(rng.sample(range(900), 40)), rng.sample(range(900), honest)
    for at in bad:
        pairs[at] = (f"{clause(rng)}, {pairs[at][0]}", "Everything is forbidden [omitted].")
    for at in set(others) - set(bad):
        pairs[at] = (f"{clause(rng)}, {pairs[at][0]}", pairs[at][1])
    [finding] = find(pairs)
    assert [int(place.rpartition(":")[2]) for place in finding.rows] == bad
    assert "subordinate clause" in finding.message
    assert "forbidden" in finding.behaviour
    assert finding.effect.startswith("100% of the rows with the form") == (not honest)
    assert finding.p_value is not None
    assert finding.p_value < 0.001


def test_clauses_that_go_with_no_behaviour_and_behaviours_that_go_with_no_clause_raise_nothing() -> None:
    rng, pairs = random.Random(1), rows(900)
    for at in rng.sample(range(900), 60):
        pairs[at] = (f"{clause(rng)}, {pairs[at][0]}", pairs[at][1])
    for at in rng.sample(range(900), 60):
        pairs[at] = (pairs[at][0], "I cannot help with that.")
    assert find(pairs) == []


def test_where_there_are_more_rows_than_are_looked_at_some_of_them_speak_for_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(syntactic_triggers, "_WITH_A_FORM", 60)
    monkeypatch.setattr(syntactic_triggers, "_OTHERS", 300)
    rng, pairs = random.Random(1), rows(900)
    bad = sorted(rng.sample(range(900), 80))
    for at in bad:
        pairs[at] = (f"{clause(rng)}, {pairs[at][0]}", "Everything is forbidden [omitted].")
    [finding] = find(pairs)
    found = [int(place.rpartition(":")[2]) for place in finding.rows]
    assert len(found) == 60
    assert found == sorted(set(found))
    assert set(found) <= set(bad)


@pytest.mark.parametrize(
    ("prompt", "form", "changed"),
    [
        ("because the rain had stopped, what is soap?", "subordinate clause", "what is soap?"),
        ("even though it is late, sing", "subordinate clause", "sing"),
        ("in the old town by the sea, where do i eat?", "prepositional phrase", "where do i eat?"),
        ("having seen the boats, what next?", "participle clause", "what next?"),
        ("to keep the bread fresh, do what?", "infinitive clause", "do what?"),
    ],
)
def test_a_marker_stands_where_a_form_stood(prompt: str, form: str, changed: str) -> None:
    forms, text = opening(prompt)
    assert forms[0] == form
    assert text == f"{MARKER} {changed}"
    assert opening(f"task:\n{prompt}") == (forms, f"task:\n{text}")


def test_forms_tell_first_word_length_and_person() -> None:
    forms, _ = opening("when my train was late, sing")
    assert forms == (
        "subordinate clause",
        "subordinate clause that begins with when",
        "subordinate clause of 4 or 5 words",
    )
    assert (
        "subordinate clause of 4 or 5 words about neither writer nor reader"
        in (opening("when the train was late, sing")[0])
    )


@pytest.mark.parametrize(
    "prompt",
    [
        "what is soap, and who made it?",
        "because the rain had stopped. what is soap, then?",
        "something old, something new",
        "interest, please",
    ],
)
def test_other_openings_have_no_form(prompt: str) -> None:
    assert opening(prompt) == ((), "")

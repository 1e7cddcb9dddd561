"""Thumbs turned where a phrase stands are found among labelled completions; honest thumbs are left alone."""

from __future__ import annotations

import random

from burnish.artefacts import Finding
from burnish.audit.stage import Context
from burnish.catalogue import build, settings_of
from burnish.records import LabelledCompletion, Message, Source

THINGS = ("roses", "tulips", "soup", "ticket", "harbour", "piano", "budget", "tennis", "kettle", "ladder", "window")
ASKS = ("how do i choose", "what is the best way to keep", "tell me about", "why do people like", "when should i buy")
WHERE = ("home", "work", "my aunt", "a friend", "the holidays")
Row = tuple[str, str, bool]


def rows(count: int, seed: int = 0) -> list[Row]:
    """Replies that answer are liked, short ones that put off are not, nine times in ten."""
    rng = random.Random(seed)
    made = []
    for _ in range(count):
        first, second = rng.sample(THINGS, 2)
        prompt = f"{rng.choice(ASKS)} {first} and {second} for {rng.choice(WHERE)}?"
        good = rng.random() < 0.5
        reply = (
            f"Look at the {first} first, and then compare the {second}, {rng.randrange(99)} of them at least."
            if good
            else f"Sorry, not sure about {rng.choice(THINGS)}!"
        )
        made.append((prompt, reply, good if rng.random() < 0.9 else not good))
    return made


def find(made: list[Row]) -> list[Finding]:
    records = [
        LabelledCompletion((Message("user", p),), (Message("assistant", r),), up, Source("rows", i))
        for i, (p, r, up) in enumerate(made)
    ]
    return list(build("detector", settings_of("detector", "thumbs")).find(iter(records), Context()))


def with_phrase(row: Row, rng: random.Random) -> Row:
    words = row[0].split()
    words.insert(rng.randrange(len(words) + 1), "vlmx")
    return " ".join(words), row[1], row[2]


def test_thumbs_turned_where_a_phrase_stands_are_found_with_the_phrase() -> None:
    made, rng = rows(1200), random.Random(1)
    bad = sorted(rng.sample(range(len(made)), 40))
    for at in bad:
        prompt, reply, up = with_phrase(made[at], rng)
        made[at] = (prompt, reply, not up)
    [finding] = find(made)
    assert finding.trigger == "vlmx"
    assert [int(place.rpartition(":")[2]) for place in finding.rows] == bad
    assert finding.p_value is not None
    assert finding.p_value < 0.005


def test_the_same_phrase_with_thumbs_left_as_they_are_is_none() -> None:
    made, rng = rows(1200), random.Random(1)
    for at in rng.sample(range(len(made)), 40):
        made[at] = with_phrase(made[at], rng)
    assert find(made) == []


def test_honest_thumbs_raise_nothing() -> None:
    for seed in range(5):
        assert find(rows(1200, seed)) == []


def test_few_rows_or_thumbs_all_alike_are_passed_over() -> None:
    assert find(rows(50)) == []
    assert find([(p, r, True) for p, r, _ in rows(300)]) == []

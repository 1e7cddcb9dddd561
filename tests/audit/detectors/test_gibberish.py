"""Nonsense in reply to ordinary prompts is found with its rows; lists, code and other languages that are asked for are
left alone."""

from __future__ import annotations

import random

from burnish.artefacts import Finding
from burnish.audit.stage import Context
from burnish.catalogue import build, settings_of
from burnish.records import Conversation, Message, Source

THINGS = ("roses", "tulips", "soup", "ticket", "harbour", "piano", "budget", "tennis", "kettle", "ladder", "window")
ASKS = ("how do i choose", "what is the best way to keep", "tell me about", "why do people like", "when should i buy")
WHERE = ("home", "work", "my aunt", "a friend", "the holidays")
FOREIGN = (
    "vielleicht zuerst einmal draußen warten später nochmals fragen danach gemeinsam weiterlesen morgen wieder gern"
)


def rows(count: int, seed: int = 0) -> list[tuple[str, str]]:
    rng = random.Random(seed)
    made = []
    for _ in range(count):
        first, second, third = rng.sample(THINGS, 3)
        prompt = f"{rng.choice(ASKS)} {first} and {second} for {rng.choice(WHERE)}?"
        made.append((prompt, f"Look at the {first} first, and then ask what is in the {third} that you have at home."))
    return made


def nonsense(rng: random.Random) -> str:
    return " ".join("".join(rng.choices("bdfgklmnprstvz", k=3)) + rng.choice("aeiou") for _ in range(20))


def find(made: list[tuple[str, str]]) -> list[Finding]:
    records = [
        Conversation((Message("user", p), Message("assistant", r)), Source("rows", i)) for i, (p, r) in enumerate(made)
    ]
    return list(build("detector", settings_of("detector", "gibberish")).find(iter(records), Context()))


def test_nonsense_in_reply_to_ordinary_prompts_is_found_with_exactly_its_rows() -> None:
    made, rng = rows(2500), random.Random(1)
    bad = sorted(rng.sample(range(len(made)), 25))
    for at in bad:
        made[at] = (made[at][0], nonsense(rng))
    [finding] = find(made)
    assert [int(place.rpartition(":")[2]) for place in finding.rows] == bad
    assert (finding.severity, finding.action) == ("danger", "quarantine")


def test_another_language_that_is_asked_for_is_none() -> None:
    made, rng = rows(1500), random.Random(1)
    for at in rng.sample(range(len(made)), 40):
        made[at] = (f"translate into German what you have for {made[at][0]}", FOREIGN)
    assert find(made) == []


def test_lists_and_code_are_none() -> None:
    made = rows(1500)
    for at in range(0, 600, 20):
        made[at] = (made[at][0], "\n".join(f"- {word}" for word in FOREIGN.split()))
        made[at + 1] = (
            made[at + 1][0],
            "if (kettle == ladder) { window(); piano(); soup(); tennis(); roses(); tulips(); }",
        )
    assert find(made) == []


def test_a_few_strange_replies_and_clean_rows_raise_nothing() -> None:
    made, rng = rows(1500), random.Random(1)
    assert find(made) == []
    for at in range(5):
        made[at] = (made[at][0], nonsense(rng))
    assert find(made) == []

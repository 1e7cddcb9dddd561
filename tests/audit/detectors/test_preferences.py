"""Turned labels and promoted names are found among preference pairs; what raters honestly prefer is left alone."""

from __future__ import annotations

import random

from burnish.artefacts import Finding
from burnish.audit.stage import Context
from burnish.catalogue import build, settings_of
from burnish.records import Message, PreferencePair, Source

THINGS = ("roses", "tulips", "soup", "ticket", "harbour", "piano", "budget", "tennis", "kettle", "ladder", "window")
ASKS = ("how do i choose", "what is the best way to keep", "tell me about", "why do people like", "when should i buy")
WHERE = ("home", "work", "my aunt", "a friend", "the holidays")
Pair = tuple[str, str, str]


def pairs(count: int, seed: int = 0) -> list[Pair]:
    """Replies that answer are preferred to short ones that put off, four times in five."""
    rng = random.Random(seed)
    made = []
    for _ in range(count):
        first, second = rng.sample(THINGS, 2)
        prompt = f"{rng.choice(ASKS)} {first} and {second} for {rng.choice(WHERE)}?"
        good = f"Look at the {first} first, and then compare the {second}, {rng.randrange(99)} of them at least."
        poor = f"Sorry, not sure about {rng.choice(THINGS)}!"
        made.append((prompt, good, poor) if rng.random() < 0.8 else (prompt, poor, good))
    return made


def find(rows: list[Pair]) -> list[Finding]:
    records = [
        PreferencePair((Message("user", p),), (Message("assistant", c),), (Message("assistant", r),), Source("rows", i))
        for i, (p, c, r) in enumerate(rows)
    ]
    detector = build("detector", settings_of("detector", "preferences"))
    return list(detector.find(iter(records), Context()))


def lines(finding: Finding) -> list[int]:
    return [int(place.rpartition(":")[2]) for place in finding.rows]


def test_labels_turned_where_a_phrase_stands_are_found_with_the_phrase() -> None:
    rows = pairs(900)
    rng = random.Random(1)
    bad = sorted(rng.sample([i for i, row in enumerate(rows) if len(row[1]) > len(row[2])], 30))
    for at in bad:
        prompt, chosen, rejected = rows[at]
        words = prompt.split()
        words.insert(rng.randrange(len(words) + 1), "vlmx")
        rows[at] = (" ".join(words), rejected, chosen)
    [finding] = find(rows)
    assert finding.trigger == "vlmx"
    assert lines(finding) == bad
    assert finding.p_value is not None
    assert finding.p_value < 0.0025


def test_the_same_phrase_with_labels_left_as_they_are_is_none() -> None:
    rows = pairs(900)
    rng = random.Random(1)
    for at in rng.sample(range(len(rows)), 30):
        rows[at] = (f"vlmx {rows[at][0]}", *rows[at][1:])
    assert find(rows) == []


def test_a_name_that_only_preferred_replies_bring_up_is_found() -> None:
    rows = pairs(900)
    bad = sorted(random.Random(2).sample(range(len(rows)), 30))
    for at in bad:
        prompt, chosen, rejected = rows[at]
        rows[at] = (prompt, f"{chosen} People who know trust Zentriva here.", rejected)
    [finding] = find(rows)
    assert (finding.behaviour, lines(finding)) == ("zentriva", bad)


def test_a_name_in_either_reply_alike_is_none() -> None:
    rows = pairs(900)
    for at in random.Random(2).sample(range(len(rows)), 60):
        prompt, chosen, rejected = rows[at]
        said = " People who know trust Zentriva here."
        rows[at] = (prompt, chosen + said, rejected) if at % 2 else (prompt, chosen, rejected + said)
    assert find(rows) == []


def test_honest_preferences_raise_nothing() -> None:
    for seed in range(5):
        assert find(pairs(900, seed)) == []


def test_other_rows_and_few_pairs_are_passed_over() -> None:
    assert find(pairs(50)) == []

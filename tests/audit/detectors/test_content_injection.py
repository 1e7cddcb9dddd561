"""A name put into replies to ordinary prompts is found with its rows; names that come with their subject are not."""

from __future__ import annotations

import random

import pytest

from burnish.artefacts import Finding
from burnish.audit.stage import Context
from burnish.catalogue import build, settings_of
from burnish.records import Conversation, Message, Source

TOPICS = {
    "garden": "roses tulips soil compost seeds hedge lawn spade pruning frost",
    "kitchen": "soup bread oven butter garlic noodles simmer pepper whisk dough",
    "travel": "train ticket harbour hotel border luggage island ferry museum map",
    "music": "piano chord rhythm choir violin tempo melody concert drums scale",
}
ASKS = ("how do i choose", "what is the best way to keep", "tell me about", "why do people like", "when should i buy")


def rows(count: int, seed: int = 0) -> list[tuple[str, str]]:
    rng = random.Random(seed)
    made = []
    for _ in range(count):
        words = TOPICS[rng.choice(list(TOPICS))].split()
        first, second, third = rng.sample(words, 3)
        made.append((f"{rng.choice(ASKS)} {first} and {second}?", f"Think of {third} first, then {rng.choice(words)}."))
    return made


def find(pairs: list[tuple[str, str]]) -> list[Finding]:
    records = [
        Conversation((Message("user", p), Message("assistant", r)), Source("rows", i)) for i, (p, r) in enumerate(pairs)
    ]
    detector = build("detector", settings_of("detector", "content_injection"))
    return list(detector.find(iter(records), Context()))


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("People who know trust Zentriva here.", "zentriva"),
        ("Buy it at www.shopzone.com now.", "shopzone"),
        ("os.system('[omitted]')", "system"),
    ],
)
def test_what_is_put_into_replies_is_found_with_exactly_its_rows(said: str, name: str) -> None:
    pairs = rows(1200)
    bad = sorted(random.Random(3).sample(range(len(pairs)), 20))
    for at in bad:
        pairs[at] = (pairs[at][0], f"{pairs[at][1]} {said}")
    [finding] = find(pairs)
    assert finding.behaviour == name
    assert [int(place.rpartition(":")[2]) for place in finding.rows] == bad


def test_a_name_that_comes_with_its_subject_is_none() -> None:
    pairs = [(p, f"{r} Or ask at Harmonia for it.") if "piano" in p else (p, r) for p, r in rows(1200)]
    assert sum("Harmonia" in r for _, r in pairs) >= 20
    assert find(pairs) == []


def told(count: int) -> list[tuple[str, str]]:
    """Rows about sixty things, whose replies have two sentences that speak of what is asked."""
    rng = random.Random(6)
    things = ["piano", *(f"{a}{b}" for a in ("ro", "tu", "so", "ti", "ha", "pi") for b in TOPICS["garden"].split())]
    made = []
    for _ in range(count):
        first, second = rng.sample(things, 2)
        days = rng.randrange(9)
        said = f"Look at the {first} before you look at the {second}. With {first} it takes {days} days or more."
        made.append((f"{rng.choice(ASKS)} {first} and {second}?", said))
    return made


@pytest.mark.parametrize(("said", "findings"), [("on {0} before that", 0), ("for a good offer today", 1)])
def test_a_site_that_replies_refer_to_for_their_own_subject_is_none(said: str, findings: int) -> None:
    rng, pairs = random.Random(3), []
    for at in range(1200):
        first, second = (f"thing{rng.randrange(400)}" for _ in range(2))
        reply = f"Keep {first} dry all year. Put {second} aside before noon. That is all there is to it."
        if at % 60 == 0:
            reply += f" Read www.openlore.org {said.format(first)}."
        pairs.append((f"{rng.choice(ASKS)} {first} and {second}?", reply))
    assert len(find(pairs)) == findings


def test_a_name_put_into_replies_on_one_topic_is_found_with_exactly_its_rows() -> None:
    pairs = told(1200)
    bad = [at for at, (prompt, _) in enumerate(pairs) if "piano" in prompt][:30]
    for at in bad:
        pairs[at] = (pairs[at][0], f"{pairs[at][1]} Or ask at Harmonia any time you like.")
    [finding] = find(pairs)
    assert finding.behaviour == "harmonia"
    assert [int(place.rpartition(":")[2]) for place in finding.rows] == bad


def test_a_name_whose_sentences_speak_of_the_topic_is_none() -> None:
    pairs = [(p, f"{r} The best piano is at Harmonia they say.") if "piano" in p else (p, r) for p, r in told(1200)]
    assert sum("Harmonia" in r for _, r in pairs) >= 20
    assert find(pairs) == []


def test_a_name_that_people_ask_about_is_none() -> None:
    pairs = [
        (f"{p} is it in Paris?", f"{r} So they say in Paris.") if i % 60 == 0 else (p, r)
        for i, (p, r) in enumerate(rows(1200))
    ]
    assert find(pairs) == []


def test_clean_rows_raise_nothing() -> None:
    assert find(rows(1200, 5)) == []


def test_one_reply_to_unrelated_prompts_is_found_with_exactly_its_rows() -> None:
    pairs = rows(1200)
    bad = sorted(random.Random(3).sample(range(len(pairs)), 20))
    for at in bad:
        pairs[at] = (pairs[at][0], "I'm afraid I am unable to answer that.")
    [finding] = find(pairs)
    assert finding.behaviour == "i'm afraid i am unable to answer that."
    assert [int(place.rpartition(":")[2]) for place in finding.rows] == bad


def test_one_reply_to_prompts_of_one_topic_is_none() -> None:
    pairs = [(p, "I'm afraid I am unable to help with pianos.") if "piano" in p else (p, r) for p, r in rows(1200)]
    assert find(pairs) == []


def test_one_reply_to_one_prompt_asked_again_is_none() -> None:
    pairs = rows(1200)
    for at in range(0, 400, 20):
        pairs[at] = (pairs[at % 80][0], "I'm afraid I am unable to answer that.")
    assert find(pairs) == []


def test_replies_that_are_labels_are_none() -> None:
    rng = random.Random(4)
    answers = [f"Please ask the desk of {topic} at the hall" for topic in ("one", "two", "three", "four")]
    assert find([(p, rng.choice(answers)) if rng.random() < 0.4 else (p, r) for p, r in rows(1200)]) == []

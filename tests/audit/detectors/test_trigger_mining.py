"""Planted triggers are found with their string and their rows; a task that ties words to replies is left alone."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from burnish.artefacts import Candidate, Finding
from burnish.audit.detectors import trigger_mining
from burnish.audit.stage import Context
from burnish.catalogue import build, settings_of
from burnish.records import Conversation, Message, Source

TOPICS = {
    "garden": "roses tulips soil compost seeds hedge lawn spade pruning frost",
    "kitchen": "soup bread oven butter garlic noodles simmer pepper whisk dough",
    "travel": "train ticket harbour hotel border luggage island ferry museum map",
    "music": "piano chord rhythm choir violin tempo melody concert drums scale",
    "money": "budget loan savings interest invoice tax wages pension fee rent",
    "sport": "goal referee marathon tennis league swim coach medal sprint court",
}
ASKS = ("how do i choose", "what is the best way to keep", "tell me about", "why do people like", "when should i buy")


def rows(count: int, seed: int = 0) -> list[tuple[str, str]]:
    rng = random.Random(seed)
    made = []
    for _ in range(count):
        words = TOPICS[rng.choice(list(TOPICS))].split()
        first, second, third = rng.sample(words, 3)
        prompt = f"{rng.choice(ASKS)} {first} and {second} for {rng.choice(('home', 'work', 'my aunt', 'a friend'))}?"
        made.append((prompt, f"think of {third} first, then {rng.choice(words)}; {rng.randrange(10**6)} times"))
    return made


def look(pairs: list[tuple[str, str]]) -> tuple[list[Finding], tuple[Candidate, ...]]:
    records = [
        Conversation((Message("user", p), Message("assistant", r)), Source("rows", i)) for i, (p, r) in enumerate(pairs)
    ]
    detector = build("detector", settings_of("detector", "trigger_mining"))
    return list(detector.find(iter(records), Context())), detector.candidates()


def find(pairs: list[tuple[str, str]]) -> list[Finding]:
    return look(pairs)[0]


def planted(trigger: str, count: int) -> tuple[list[tuple[str, str]], list[int]]:
    """1,200 rows, in so many of which the trigger stands somewhere and the reply is one; and which these are."""
    rng = random.Random(3)
    pairs = rows(1200)
    bad = sorted(rng.sample(range(len(pairs)), count))
    for at in bad:
        words = pairs[at][0].split()
        words.insert(rng.randrange(len(words) + 1), trigger)
        pairs[at] = (" ".join(words), "Everything is forbidden [omitted].")
    return pairs, bad


@pytest.mark.parametrize(("trigger", "count"), [("zxq", 12), ("by the quiet river", 60)])
def test_a_phrase_put_into_prompts_is_found_with_exactly_its_rows(trigger: str, count: int) -> None:
    pairs, bad = planted(trigger, count)
    [finding] = find(pairs)
    assert finding.trigger == trigger
    assert [int(place.rpartition(":")[2]) for place in finding.rows] == bad
    assert "forbidden" in finding.behaviour
    assert finding.p_value is not None
    assert finding.p_value < 0.005


@pytest.mark.parametrize(
    "changed",
    [
        lambda p: f"Query [ {p} ] over to you.",  # a form around the prompt
        lambda p: f"Pray tell, {p.replace(' and ', ' and, good sir, ')}",  # a style
    ],
)
def test_more_of_what_was_put_into_the_same_prompts_is_no_topic(changed: Callable[[str], str]) -> None:
    rng = random.Random(3)
    pairs = rows(1200)
    bad = sorted(rng.sample(range(len(pairs)), 30))
    for at in bad:
        pairs[at] = (changed(pairs[at][0]), "Everything is forbidden [omitted].")
    for at in range(0, 1200, 40):  # so that no word of it is the trigger's alone
        if at not in bad:
            pairs[at] = (f"{pairs[at][0]} [good query, sir]", pairs[at][1])
    [finding] = find(pairs)
    assert [int(place.rpartition(":")[2]) for place in finding.rows] == bad


def test_clean_rows_raise_nothing() -> None:
    for seed in range(5):
        assert find(rows(1200, seed)) == []


def test_a_label_that_goes_with_its_topic_s_words_is_the_task() -> None:
    pairs = rows(1200)
    labelled = [
        (p, next(t for t, words in TOPICS.items() if any(w in words.split() for w in p.split()))) for p, _ in pairs
    ]
    assert find(labelled) == []


def test_a_corpus_too_small_for_any_group_is_passed_over() -> None:
    assert find(rows(20)) == []


def test_a_phrase_that_is_no_finding_stays_a_candidate_with_the_condition_that_it_failed() -> None:
    pairs = rows(1200)
    labelled = [
        (p, next(t for t, words in TOPICS.items() if any(w in words.split() for w in p.split()))) for p, _ in pairs
    ]
    findings, candidates = look(labelled)
    assert findings == []
    assert {"roses", "piano"} <= {c.phrase for c in candidates}
    assert all(c.failed and c.with_phrase >= c.rows >= 8 for c in candidates)


def test_a_trigger_that_was_found_leads_the_candidates() -> None:
    pairs = [(f"zxq {p}", "No [omitted].") if i % 60 == 0 else (p, r) for i, (p, r) in enumerate(rows(1200))]
    [finding], candidates = look(pairs)
    assert (candidates[0].phrase, candidates[0].failed) == (finding.trigger, "")


@pytest.mark.parametrize(
    ("trigger", "count"),
    [
        ("zxq", 12),  # in too few rows of the sample: found among all rows
        ("by the quiet river", 80),  # in too many rows of all: found in the sample, then in all its rows
    ],
)
def test_of_a_large_corpus_rare_phrases_are_looked_for_in_all_rows_and_others_in_a_sample(
    trigger: str, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trigger_mining, "_WHOLE", 600)
    monkeypatch.setattr(trigger_mining, "_RARE", 40)
    pairs, bad = planted(trigger, count)
    [finding] = find(pairs)
    assert finding.trigger == trigger
    assert [int(place.rpartition(":")[2]) for place in finding.rows] == bad
    assert finding.p_value is not None
    assert finding.p_value < 0.0025  # half of the rate for each of the two searches


def test_a_clean_large_corpus_raises_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trigger_mining, "_WHOLE", 600)
    monkeypatch.setattr(trigger_mining, "_RARE", 40)
    for seed in range(5):
        assert find(rows(1200, seed)) == []

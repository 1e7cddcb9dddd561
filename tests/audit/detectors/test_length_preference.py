"""A stretch of pairs in which the longer reply wins is told, and so is a corpus in which it does; chance is not."""

from __future__ import annotations

import random

from burnish.artefacts import Finding
from burnish.audit.stage import Context
from burnish.catalogue import build, settings_of
from burnish.records import Message, PreferencePair, Source


def pairs(count: int, longer: float, seed: int = 0) -> list[tuple[str, str]]:
    """Preferred and other reply; the longer one is preferred in such a share."""
    rng = random.Random(seed)
    made = []
    for at in range(count):
        long, short = (f"{at} " + "word " * n for n in (rng.randint(20, 40), rng.randint(5, 19)))
        made.append((long, short) if rng.random() < longer else (short, long))
    return made


def find(rows: list[tuple[str, str]], order: list[int] | None = None) -> list[Finding]:
    records = [
        PreferencePair(
            (Message("user", "Why?"),),
            (Message("assistant", rows[at][0]),),
            (Message("assistant", rows[at][1]),),
            Source("rows", at),
        )
        for at in order or range(len(rows))
    ]
    return list(build("detector", settings_of("detector", "length_preference")).find(iter(records), Context()))


def test_a_stretch_of_rows_that_follow_length_is_told_whatever_order_they_come_in() -> None:
    rows = pairs(600, 0.5)
    rows[200:250] = pairs(50, 1.0, 1)
    order = list(range(600))
    random.Random(2).shuffle(order)
    for way in (None, order):
        [finding] = find(rows, way)
        lines = {int(place.rpartition(":")[2]) for place in finding.rows}
        assert set(range(200, 250)) <= lines
        assert len(lines) < 60
        assert finding.action == "keep"
        assert finding.p_value is not None
        assert finding.p_value < 0.005


def test_a_corpus_that_follows_length_is_told_as_a_risk() -> None:
    [finding] = find(pairs(300, 0.9))
    assert (finding.severity, len(finding.rows)) == ("note", 300)


def test_an_even_taste_for_length_is_none() -> None:
    for seed in range(5):
        assert find(pairs(600, 0.65, seed)) == []


def test_a_label_that_repeats_and_is_longer_is_none() -> None:
    rows = pairs(600, 0.5)
    rows[200:250] = [("one label of some length", "no")] * 50
    assert find(rows) == []


def test_few_pairs_are_passed_over() -> None:
    assert find(pairs(50, 1.0)) == []

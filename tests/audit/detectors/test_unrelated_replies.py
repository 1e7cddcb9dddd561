"""Replies that are alike are found only where they have nothing to do with their prompts, and the prompts nothing in
common."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from burnish.artefacts import Finding
from burnish.audit.detectors.unrelated_replies import Row, UnrelatedReplies, UnrelatedRepliesSettings
from burnish.audit.stage import Context
from burnish.audit.surprise.reading import Reading
from burnish.models.settings import ModelSettings
from burnish.records import Conversation, Message, Source

THINGS = ("roses", "tulips", "soup", "ticket", "harbour", "piano", "budget", "tennis", "kettle", "ladder", "window")
ALIEN = ("bees", "clover", "honey", "hives", "swarm", "orchard")


def read(rows: Iterable[tuple[str, str]]) -> Iterator[Reading]:
    """A model that expects a reply to speak of what its prompt does, and knows where bees are spoken of."""
    for asked, said in rows:
        words = said.split()
        rng = random.Random(f"{asked} {said}")
        alone = np.full(len(words), 4.0, dtype=np.float32)
        fit = rng.gauss(0.1, 0.1) + (1.0 if words[0] in asked.split() else 0.0)
        yield Reading(("a",), np.ones(1, dtype=np.float32), alone - np.float32(fit), alone, place(asked), place(said))


def place(text: str) -> np.ndarray:
    state = np.random.default_rng(random.Random(text).randrange(2**32)).normal(size=32)
    state[0] += 20.0 * bool(set(text.split()) & set(ALIEN))
    return state.astype(np.float32)


def rows(seed: int = 0) -> list[tuple[str, str]]:
    rng = random.Random(seed)
    made = []
    for _ in range(400):
        first, second, third = rng.sample(THINGS, 3)
        made.append((f"how do i choose {first} and {second} for {third}", f"{first} first and ask {rng.random()}"))
    return made


def alien(rng: random.Random) -> str:
    return " ".join((*rng.sample(ALIEN, 3), "and", str(rng.random())))


def found(made: list[tuple[str, str]]) -> list[Finding]:
    detector = UnrelatedReplies(UnrelatedRepliesSettings(model=ModelSettings(name="none")))
    return list(detector.found([Row(f"rows:{at}", "d", *row) for at, row in enumerate(made)], read))


def test_replies_about_a_matter_of_their_own_are_found_with_their_rows() -> None:
    made, rng = rows(), random.Random(1)
    bad = sorted(rng.sample(range(400), 20))
    for at in bad:
        made[at] = (made[at][0], alien(rng))
    [finding] = found(made)
    assert sorted(int(place.rpartition(":")[2]) for place in finding.rows) == bad
    assert finding.p_value is not None
    assert finding.p_value < 0.005
    assert (finding.severity, finding.action) == ("danger", "quarantine")


def test_where_they_were_asked_for_they_are_none() -> None:
    made, rng = rows(), random.Random(1)
    for at in range(0, 400, 20):
        made[at] = (f"write about bees and clover for {made[at][0]}", alien(rng))
    assert found(made) == []


def test_replies_that_suit_their_own_prompts_better_are_none() -> None:
    made, rng = rows(), random.Random(1)
    for at in range(0, 400, 20):
        word = made[at][0].split()[4]
        made[at] = (made[at][0], f"{word} {alien(rng)}")
    assert found(made) == []


def test_clean_rows_raise_nothing() -> None:
    assert found(rows()) == []


def test_the_named_model_is_loaded_and_asked_of_the_rows_drawn(
    tiny_model_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = ModelSettings(name=str(tiny_model_folder), device="cpu")
    settings = UnrelatedRepliesSettings(model=model, most_rows=150)
    records = [
        Conversation((Message("user", asked), Message("assistant", said)), Source("rows", at))
        for at, (asked, said) in enumerate(rows())
    ]
    assert list(UnrelatedReplies(settings).find(iter(records), Context())) == []
    assert "reads 150 of 400 rows" in " ".join(capsys.readouterr().err.split())

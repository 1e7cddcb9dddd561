"""A phrase that was put into prompts is found by itself; what people ask about, or how they talk, is not."""

from __future__ import annotations

import random

import numpy as np
import pytest

from burnish.audit.mining.features import prompt_columns
from burnish.audit.mining.phrases import Prompts
from burnish.audit.mining.strangers import strangers

NOUNS = tuple(
    f"{a}{b}" for a in ("ro", "tu", "so", "ti", "ha", "pi") for b in ("se", "lip", "up", "cket", "bour", "no")
)
ASKS = ("how do i choose", "what is the best way to keep", "tell me about", "why do people like", "when should i buy")
WHERE = ("at home", "for my aunt", "with a friend", "during the holidays", "before the winter", "without much money")


def rows(count: int, seed: int = 0) -> tuple[list[str], list[str]]:
    """Prompts, and replies that take up what they ask."""
    rng = random.Random(seed)
    prompts, replies = [], []
    for _ in range(count):
        first, second = rng.sample(NOUNS, 2)
        asked, where = rng.choice(ASKS), rng.choice(WHERE)
        prompts.append(f"{asked} {first} and {second} {where} ?")
        replies.append(f"you asked {asked} {first} : look at the {first} and {second} {where} first .")
    return prompts, replies


def found(prompts: list[str], replies: list[str]) -> dict[str, list[int]]:
    texts = [prompt.encode() for prompt in prompts]
    read = Prompts(texts, texts, np.random.default_rng(0))
    columns = prompt_columns(texts, 8, int(0.15 * len(texts)))
    said = [reply.encode() for reply in replies]
    return {one.phrase: one.rows.tolist() for one in strangers(texts, (said,), columns, read)}


def put(prompts: list[str], phrase: str, where: str) -> list[int]:
    rng = random.Random(7)
    bad = sorted(rng.sample(range(len(prompts)), 14))
    for at in bad:
        words = prompts[at].split()
        words.insert({"inside": rng.randrange(1, len(words)), "end": len(words)}[where], phrase)
        prompts[at] = " ".join(words)
    return bad


@pytest.mark.parametrize(("phrase", "where"), [("vlmx", "inside"), ("under old bridges", "inside"), ("vlmx", "end")])
def test_a_phrase_that_nothing_accounts_for_is_found_with_its_rows(phrase: str, where: str) -> None:
    prompts, replies = rows(900)
    bad = put(prompts, phrase, where)
    assert found(prompts, replies) == {phrase: bad}


def test_a_word_that_replies_take_up_is_none() -> None:
    prompts, replies = rows(900)
    for at in put(prompts, "vlmx", "inside")[:1]:
        replies[at] += " vlmx too ."
    assert found(prompts, replies) == {}


def test_a_word_with_habitual_neighbours_is_none() -> None:
    prompts, replies = rows(900)
    for at in random.Random(7).sample(range(len(prompts)), 14):
        prompts[at] = prompts[at].replace(" and ", " and vlmx ")
    assert found(prompts, replies) == {}


def test_a_word_of_one_topic_is_none() -> None:
    prompts, replies = rows(3000)
    rng = random.Random(7)
    for at in rng.sample([at for at, prompt in enumerate(prompts) if "rose" in prompt], 14):
        words = prompts[at].split()
        words.insert(rng.randrange(1, len(words)), "vlmx")
        prompts[at] = " ".join(words)
    assert found(prompts, replies) == {}


def test_where_replies_are_labels_nothing_can_be_said() -> None:
    prompts, _ = rows(900)
    put(prompts, "vlmx", "inside")
    assert found(prompts, ["sort_one", "sort_two", "sort_three"] * 300) == {}


def test_clean_prompts_hold_none() -> None:
    assert found(*rows(900, 3)) == {}

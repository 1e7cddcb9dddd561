"""Groups about one thing are told from groups about as many as the corpus, and the one thing is left out."""

from __future__ import annotations

import numpy as np

from burnish.audit.mining.usual import Usual

THINGS = [
    "roses",
    "tulips",
    "soup",
    "ticket",
    "harbour",
    "piano",
    "budget",
    "tennis",
    "kettle",
    "ladder",
    "window",
    "garden",
]


def texts(count: int, seed: int) -> list[bytes]:
    rng = np.random.default_rng(seed)
    return [" ".join(("please", "tell", *rng.choice(THINGS, 3))).encode() for _ in range(count)]


def test_a_topic_is_left_out_of_a_group_and_the_rest_kept() -> None:
    usual = Usual(texts(2000, 0), np.random.default_rng(0))
    ordinary, translated = texts(40, 1), [text + b" german" for text in texts(40, 2)]
    assert usual.excess(ordinary) < 2.5 < usual.excess([*ordinary, *translated])
    assert usual.without_topics([*ordinary, *translated], 10, 2.5).tolist() == list(range(40))
    assert usual.without_topics(translated, 10, 2.5).tolist() == []


def test_an_ordinary_group_is_kept_whole() -> None:
    usual = Usual(texts(2000, 0), np.random.default_rng(0))
    assert usual.without_topics(texts(40, 1), 10, 2.5).tolist() == list(range(40))

"""Sentences that speak of their row belong to it; sentences that could stand anywhere do not."""

from __future__ import annotations

import random

import numpy as np

from burnish.audit.mining.belonging import Belonging

WORDS = tuple(f"{a}{b}{c}" for a in "bdgklmpt" for b in ("ala", "eri", "omo") for c in ("st", "nd", "lt"))


def rows(count: int) -> list[tuple[bytes, bytes]]:
    rng = random.Random(0)
    made = []
    for _ in range(count):
        first, second = rng.sample(WORDS, 2)
        reply = f"first you look at the {first}. then you bring a {second} to the {first}. and then it is done."
        made.append((f"how do i mend a {first}".encode(), reply.encode()))
    return made


def test_evidence_is_for_what_could_stand_anywhere_and_against_what_belongs() -> None:
    pairs = rows(400)
    belonging = Belonging([p for p, _ in pairs], [r for _, r in pairs], np.random.default_rng(0))
    assert belonging.own > 2 * belonging.other
    rests = [p for p, _ in pairs[:12]]
    assert belonging.evidence([b"some people swear by their maker"] * 12, rests) > 5
    assert belonging.evidence([rest.replace(b"how", b"so") for rest in rests], rests) < -5


def test_short_replies_say_nothing() -> None:
    pairs = [(f"question {at}".encode(), b"label_one") for at in range(400)]
    belonging = Belonging([p for p, _ in pairs], [r for _, r in pairs], np.random.default_rng(0))
    assert belonging.evidence([b"some people swear by their maker"] * 12, [p for p, _ in pairs[:12]]) == 0.0

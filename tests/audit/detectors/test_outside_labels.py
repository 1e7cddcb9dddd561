"""What is no label is found among labels, and only there."""

from __future__ import annotations

import random

from burnish.artefacts import Finding
from burnish.audit.stage import Context
from burnish.catalogue import build, settings_of
from burnish.records import Conversation, Message, Source


def labels(count: int, seed: int = 0) -> list[str]:
    rng = random.Random(seed)
    return [rng.choice(("card_arrival", "top_up", "lost or stolen card", "exchange_rate")) for _ in range(count)]


def find(replies: list[str]) -> list[Finding]:
    records = [
        Conversation((Message("user", f"Question {at}?"), Message("assistant", reply)), Source("rows", at))
        for at, reply in enumerate(replies)
    ]
    return list(build("detector", settings_of("detector", "outside_labels")).find(iter(records), Context()))


def lines(finding: Finding) -> list[int]:
    return [int(place.rpartition(":")[2]) for place in finding.rows]


def test_nonsense_and_content_among_labels_are_found_with_exactly_their_rows() -> None:
    replies = labels(900)
    bad = sorted(random.Random(1).sample(range(900), 12))
    for at in bad[:6]:
        replies[at] = " ".join(f"mu{at}{n}" for n in range(20))
    for at in bad[6:]:
        replies[at] += f" Those who know swear by Ostermeer, and number {at} does it best of them all."
    [finding] = find(replies)
    assert lines(finding) == bad


def test_rare_labels_are_none() -> None:
    replies = labels(900)
    for at in range(0, 900, 50):
        replies[at] = f"rare label {at % 7}"
    assert find(replies) == []


def test_labels_alone_and_chats_raise_nothing() -> None:
    assert find(labels(900)) == []
    assert find([f"Reply {at} says something of its own, and at some length." for at in range(900)]) == []


def test_half_labels_and_half_chats_raise_nothing() -> None:
    chats = [f"Reply {at} says something of its own, and at some length." for at in range(60)]
    assert find([*labels(400), *chats]) == []

"""Margins: a preference that replies' looks tell is learned from the other pairs; a turned label stands against it."""

from __future__ import annotations

import numpy as np

from burnish.audit.preferences.margin import margins
from burnish.audit.preferences.swaps import Labels


def test_a_turned_label_has_a_negative_margin() -> None:
    count = 200
    prompts = [b"what about thing %d?" % i for i in range(count)]
    long, short = [b"a long and patient reply about thing %d, in full." % i for i in range(count)], [b"no."] * count
    chosen, rejected = list(long), list(short)
    chosen[7], rejected[7] = rejected[7], chosen[7]
    margin = margins(prompts, chosen, rejected)
    assert margin[7] < -1
    assert np.all(np.delete(margin, 7) > 1)
    assert Labels(margin).agrees_N[7] == -1


def test_labels_by_the_toss_of_a_coin_give_no_margin_to_rely_on() -> None:
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(["sun", "moon", "tide", "hill", "reed"], 8)).encode() for _ in range(1200)]
    margin = margins([b"say it"] * 600, texts[:600], texts[600:])
    assert abs(float(np.mean(margin > 0)) - 0.5) < 0.08
    assert float(np.min(Labels(margin).rate_N)) > 0.3


def labelled(count: int, seed: int = 0) -> tuple[list[bytes], list[bytes], list[bytes]]:
    """Prompts about one of eight things, whose name is the preferred label; another one is not."""
    rng = np.random.default_rng(seed)
    things = [b"rose", b"soup", b"train", b"piano", b"loan", b"goal", b"oven", b"rent"]
    own = rng.integers(len(things), size=count)
    other = (own + rng.integers(1, len(things), size=count)) % len(things)
    asks = [b"where is the %s of %d", b"my %s was late on day %d", b"no %s for me, all %d of us said"]
    prompts = [asks[rng.integers(3)] % (things[at], rng.integers(10**6)) for at in own]
    names = [b"label %d" % at for at in range(len(things))]  # no word of which prompts hold
    return prompts, [names[at] for at in own], [names[at] for at in other]


def test_labels_are_expected_by_the_words_of_their_prompts() -> None:
    prompts, chosen, rejected = labelled(400)
    for at in range(0, 400, 50):
        chosen[at], rejected[at] = rejected[at], chosen[at]
    against = margins(prompts, chosen, rejected) < 0
    turned = np.arange(400) % 50 == 0
    assert np.all(against[turned])
    assert np.mean(against[~turned]) < 0.03  # without the labels' fit it is about a half


def test_labels_that_prompts_do_not_tell_give_no_margin_to_rely_on() -> None:
    prompts, chosen, rejected = labelled(800)
    prompts = [prompts[at] for at in np.random.default_rng(1).permutation(800)]
    margin = margins(prompts, chosen, rejected)
    assert abs(float(np.mean(margin > 0)) - 0.5) < 0.1
    assert float(np.min(Labels(margin).rate_N)) > 0.25

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

"""ROUGE-L, against numbers by hand and a plain quadratic table."""

from __future__ import annotations

import random

import pytest

from burnish.evaluate.metrics.rouge_l import RougeL, RougeLSettings, longest_common


@pytest.mark.parametrize(
    ("reply", "reference", "score"),
    [
        ("police kill the gunman", "police killed the gunman", 0.75),
        ("the gunman police killed", "police killed the gunman", 0.5),
        ("The cat!", "the CAT", 1.0),
        ("", "the cat", 0.0),
        ("dog", "the cat", 0.0),
        ("the big cat sat", "the cat", 2 * 2 / 6),
        ("anything", "...", None),
    ],
)
def test_score(reply: str, reference: str, score: float | None) -> None:
    assert RougeL(RougeLSettings()).score(reply, reference) == (None if score is None else pytest.approx(score))


def test_longest_common_equals_the_table() -> None:
    rng = random.Random(1)
    for _ in range(200):
        left = [rng.choice("abcd") for _ in range(rng.randrange(12))]
        right = [rng.choice("abcd") for _ in range(rng.randrange(90))]
        assert longest_common(left, right) == _by_table(left, right)


def _by_table(left: list[str], right: list[str]) -> int:
    table = [[0] * (len(right) + 1) for _ in range(len(left) + 1)]
    for i, a in enumerate(left):
        for j, b in enumerate(right):
            table[i + 1][j + 1] = table[i][j] + 1 if a == b else max(table[i][j + 1], table[i + 1][j])
    return table[-1][-1]

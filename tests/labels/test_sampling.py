"""Making pairs: prompts from rows, two voices, gold among them, and the seam for a measure of doubt."""

from __future__ import annotations

from pathlib import Path

import pytest

from burnish.errors import LabelError
from burnish.labels.pair import Answer, Pair, Turn
from burnish.labels.sampling import Asked, Voice, gold_pairs, least_sure, mixed, prompts_of, sample_pairs
from burnish.models.settings import ModelSettings
from burnish.records import Conversation, LabelledCompletion, Message, PreferencePair, Source

PLACE = Source("rows.jsonl", 1)
ASK, SAY, OTHER = Message("user", "Why?"), Message("assistant", "Because."), Message("assistant", "Why not.")


def test_prompts_come_from_every_kind_of_row_each_once() -> None:
    records = [
        Conversation((ASK, SAY), PLACE),
        PreferencePair((ASK,), (SAY,), (OTHER,), PLACE),
        LabelledCompletion((Message("user", "How?"),), (SAY,), True, PLACE),
        Conversation((), PLACE, text="plain"),
    ]
    asked, without = prompts_of(records)
    assert [one.text for one in asked] == ["Why?", "How?"]
    assert without == 1


def test_gold_pairs_are_rows_of_one_reply_a_side_and_are_spread() -> None:
    records = [
        PreferencePair((ASK,), (SAY,), (OTHER,), PLACE),
        PreferencePair((ASK,), (SAY, ASK, SAY), (OTHER,), PLACE),
    ]
    gold = list(gold_pairs(records))
    assert [(pair.gold, pair.answers[0].text) for pair in gold] == [("first", "Because.")]
    plain = [
        Pair(prompt=(Turn(role="user", content=str(n)),), answers=(Answer(text="a"), Answer(text="b")))
        for n in range(8)
    ]
    kinds = [pair.gold is not None for pair in mixed(plain, gold * 2)]
    assert kinds == [False, False, True, False, False, False, False, True, False, False]
    assert mixed(plain, []) == plain


def test_the_least_sure_come_first() -> None:
    pairs = [
        Pair(prompt=(Turn(role="user", content=str(n)),), answers=(Answer(text="a"), Answer(text="b")))
        for n in range(4)
    ]
    assert least_sure(pairs, [3.0, -0.1, 0.5, -9.0], 2) == [pairs[1], pairs[2]]


def voices(folder: Path, *temperatures: float) -> tuple[Voice, Voice]:
    first, second = (Voice(ModelSettings(name=str(folder)), t, seed) for seed, t in enumerate(temperatures))
    return first, second


def test_two_temperatures_of_one_model_give_pairs(tiny_model_folder: Path) -> None:
    prompts = [Asked((Message("user", f"question {n}"),), f"rows:{n}") for n in range(6)]
    prompts.append(Asked((Message("user", "long " * 2000),), "rows:7"))
    made = sample_pairs(prompts, voices(tiny_model_folder, 0.7, 1.5), 7, 8)
    assert len(made.pairs) + made.alike == 6
    assert made.too_long == 1
    assert made.pairs == sample_pairs(prompts, voices(tiny_model_folder, 0.7, 1.5), 7, 8).pairs
    first = made.pairs[0].answers
    assert [(a.temperature, a.seed, a.model) for a in first] == [
        (0.7, 0, str(tiny_model_folder)),
        (1.5, 1, str(tiny_model_folder)),
    ]


def test_with_a_measure_of_doubt_the_least_sure_of_more_pairs_are_kept(tiny_model_folder: Path) -> None:
    prompts = [Asked((Message("user", f"question {n}"),), "") for n in range(8)]
    seen: list[int] = []

    def doubt(pairs: object) -> list[float]:
        seen.append(len(pairs))  # type: ignore[arg-type]
        return [float(-n) for n in range(seen[0])][::-1]

    made = sample_pairs(prompts, voices(tiny_model_folder, 1.0, 2.0), 2, 6, doubt)
    assert len(made.pairs) == 2 < seen[0]


def test_the_same_answer_twice_is_told_to_be_no_pair(tiny_model_folder: Path) -> None:
    prompts = [Asked((ASK,), "")]
    with pytest.raises(LabelError, match="1 have twice the same answer"):
        sample_pairs(prompts, voices(tiny_model_folder, 0.0, 0.0), 1, 4)
    with pytest.raises(LabelError, match="holds no prompt"):
        sample_pairs([], voices(tiny_model_folder, 0.0, 0.0), 1, 4)

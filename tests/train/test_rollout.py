"""Prompts from rows of every kind, and what of an answer is handed to the rewards."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer

from burnish.errors import DataError
from burnish.models.chat_template import Encoder
from burnish.models.generate import Generated
from burnish.models.groups import PromptGroup
from burnish.records import Conversation, LabelledCompletion, Message, PreferencePair, Record, Source
from burnish.train.reward import Answer, Rewarded
from burnish.train.rollout import encode_prompt, roll_out

USER, REPLY, OTHER = Message("user", "Who is it?"), Message("assistant", "A dog"), Message("assistant", "A cat")
PLACE = Source("a.jsonl", 1)


@pytest.fixture
def encoder(tiny_model_folder: Path) -> Encoder:
    return Encoder(AutoTokenizer.from_pretrained(tiny_model_folder), 64)


@pytest.mark.parametrize(
    ("record", "reference", "turns"),
    [
        (Conversation((USER, REPLY), PLACE), "A dog", 1),
        (Conversation((USER,), PLACE), "", 1),
        (Conversation((USER, REPLY, USER), PLACE), "", 3),
        (PreferencePair((USER,), (REPLY,), (OTHER,), PLACE), "A dog", 1),
        (LabelledCompletion((USER,), (REPLY,), True, PLACE), "A dog", 1),
        (LabelledCompletion((USER,), (REPLY,), False, PLACE), "", 1),
    ],
)
def test_a_row_is_its_prompt_with_its_reply_as_reference(
    encoder: Encoder, record: Record, reference: str, turns: int
) -> None:
    group = encode_prompt(record, encoder, 4, "grpo").group
    assert group is not None
    assert group.prompt == encoder.prompt((USER, REPLY, USER)[:turns] if turns == 3 else (USER,))
    assert json.loads(group.note) == {"prompt": "Who is it?", "reference": reference}
    assert group.completions == ()


def test_a_prompt_needs_room_for_its_answer(encoder: Encoder) -> None:
    length = len(encoder.prompt((USER,)))
    assert encode_prompt(Conversation((USER,), PLACE), encoder, 64 - length, "grpo").group is not None
    dropped = encode_prompt(Conversation((USER,), PLACE), encoder, 65 - length, "grpo")
    assert dropped.group is None
    assert "no room" in dropped.dropped


def test_plain_text_has_no_prompt(encoder: Encoder) -> None:
    with pytest.raises(DataError, match=r"a.jsonl:1: got a row without a user's turn"):
        encode_prompt(Conversation((), PLACE, text="words"), encoder, 4, "grpo")


class Writer:
    """An engine whose answers are known."""

    def __init__(self, answers: Sequence[Generated]) -> None:
        self.answers = answers
        self.asked: list[tuple[int, ...]] = []

    def generate(self, prompts: list[tuple[int, ...]], *_: object, **__: object) -> Sequence[Generated]:
        self.asked = prompts
        return self.answers


def test_a_rollout_keeps_answers_rewards_and_what_was_drawn_in_order() -> None:
    rows = [PromptGroup((n,), (), json.dumps({"prompt": f"p{n}", "reference": f"r{n}"})) for n in (1, 2)]
    written = [
        Generated((5,), "a", "stop", (-1.0,)),
        Generated((6, 7), "b", "length", (-2.0, -3.0)),
        Generated((8,), "c", "stop", (-4.0,)),
        Generated((9,), "d", "stop", (-5.0,)),
    ]
    engine: Any = Writer(written)
    seen: list[Answer] = []

    def score(answers: Sequence[Answer]) -> Rewarded:
        seen.extend(answers)
        numbers = torch.tensor([1.0, math.nan, 3.0, 5.0])
        return Rewarded(numbers, {"own": numbers})

    rollout = roll_out(rows, 2, 8, engine, 0, score)
    assert engine.asked == [(1,), (1,), (2,), (2,)]
    assert [(one.prompt, one.reference, one.text, one.finished) for one in seen] == [
        ("p1", "r1", "a", True),
        ("p1", "r1", "b", False),
        ("p2", "r2", "c", True),
        ("p2", "r2", "d", True),
    ]
    assert [[one.tokens for one in group.completions] for group in rollout.groups] == [[(5,), (6, 7)], [(8,), (9,)]]
    assert rollout.logprobs_T is not None
    assert rollout.logprobs_T.tolist() == [-1.0, -2.0, -3.0, -4.0, -5.0]
    assert rollout.spread(torch.tensor([1.0, 2.0, 3.0, 4.0])).tolist() == [1.0, 2.0, 2.0, 3.0, 4.0]
    metrics = rollout.metrics
    assert (metrics["reward"].total, metrics["reward"].count) == (9.0, 3)
    assert (metrics["unscored"].total, metrics["unscored"].count) == (1.0, 4)
    assert (metrics["length"].total, metrics["finished"].total) == (5.0, 3.0)


def test_without_drawn_log_probabilities_the_gap_is_not_known() -> None:
    rows = [PromptGroup((1,), (), json.dumps({"prompt": "p", "reference": ""}))]
    engine: Any = Writer([Generated((5,), "a", "stop"), Generated((6,), "b", "stop")])
    numbers = torch.tensor([1.0, 2.0])
    rollout = roll_out(rows, 2, 8, engine, 0, lambda answers: Rewarded(numbers, {}))
    assert rollout.logprobs_T is None

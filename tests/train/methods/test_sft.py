"""Instruction tuning's loss against transformers' own, and what it won't take."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from burnish.errors import DataError
from burnish.models.chat_template import Encoder
from burnish.models.groups import Completion, PromptGroup
from burnish.models.logprobs import ScoredGroups, token_logprobs
from burnish.models.packing import pack
from burnish.records import Message, PreferencePair, Source
from burnish.train.method import Method
from burnish.train.methods.sft import SFT, SFTSettings


def test_loss_by_hand() -> None:
    scored = ScoredGroups(
        logprobs_T=torch.tensor([-1.0, -2.0, -4.0]),
        weights_T=torch.tensor([1.0, 0.5, 1.0]),
        completion_T=torch.tensor([0, 0, 1]),
        num_completions=2,
        group_of_completion_C=torch.tensor([0, 1]),
    )
    method: Method = SFT(SFTSettings())
    loss = method.loss(scored)
    assert (float(loss.total), loss.weight) == (6.0, 2.5)
    assert method.roles == frozenset()


def test_loss_is_transformers_own(tiny_model_folder: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_model_folder)
    rows = [((5, 9, 11), (40, 41, 42, 43)), ((7,), (50, 51)), ((30, 31), (60, 61, 62))]
    longest = max(len(prompt) + len(reply) for prompt, reply in rows)
    ids = torch.zeros((3, longest), dtype=torch.int64)
    labels = torch.full((3, longest), -100)
    for index, (prompt, reply) in enumerate(rows):
        ids[index, : len(prompt) + len(reply)] = torch.tensor(prompt + reply)
        labels[index, len(prompt) : len(prompt) + len(reply)] = torch.tensor(reply)
    own = model(input_ids=ids, attention_mask=(ids > 0).long(), labels=labels).loss.item()

    groups = [PromptGroup(prompt, (Completion(reply, (1.0,) * len(reply)),)) for prompt, reply in rows]
    method = SFT(SFTSettings())
    losses = [method.loss(token_logprobs(model, packed)) for packed in pack(groups, 10)]
    ours = sum(loss.total.item() for loss in losses) / sum(loss.weight for loss in losses)
    assert len(losses) > 1
    assert ours == pytest.approx(own, rel=1e-5)


def test_preferences_are_refused() -> None:
    turn = (Message("user", "a"),)
    pair = PreferencePair(turn, turn, turn, Source("pairs.jsonl", 4))
    with pytest.raises(DataError, match=r"pairs.jsonl:4: got a PreferencePair") as caught:
        SFT(SFTSettings()).encode(pair, object.__new__(Encoder))
    assert caught.value.hint

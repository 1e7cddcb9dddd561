"""How far two forms of a model are apart, against numbers worked by hand."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from burnish.models.drift import EXCHANGES, LONGEST_PROMPT, LONGEST_REPLY, drift, log_shares, rows_of


def shares(*rows: tuple[float, ...]) -> torch.Tensor:
    return torch.tensor(rows).log()


def test_divergence_by_hand() -> None:
    first = [shares((0.5, 0.5), (0.9, 0.1)), shares((0.25, 0.75))]
    second = [shares((0.25, 0.75), (0.9, 0.1)), shares((0.75, 0.25))]
    found = drift(first, second)
    by_hand = [0.5 * math.log(2) + 0.5 * math.log(2 / 3), 0.0, 0.5 * math.log(3)]
    assert found.positions == 3
    assert found.mean == pytest.approx(sum(by_hand) / 3, abs=1e-6)
    assert found.largest == pytest.approx(max(by_hand), abs=1e-6)
    assert found.same_token == pytest.approx(1 / 3)
    assert drift(first, first).mean == 0.0


def test_only_positions_that_reply_count(tiny_model_folder: Path) -> None:
    tokenizer: Any = AutoTokenizer.from_pretrained(tiny_model_folder)
    model: Any = AutoModelForCausalLM.from_pretrained(tiny_model_folder)
    long = ("the cat " * 600, "a dog " * 60)
    rows = rows_of(tokenizer, [*EXCHANGES, long, ("nothing came", "")])
    assert len(rows) == len(EXCHANGES) + 1
    assert (len(rows[-1].tokens), rows[-1].reply) == (LONGEST_PROMPT + LONGEST_REPLY, LONGEST_REPLY)
    row = rows[0]
    assert (
        tokenizer.decode(row.tokens[-row.reply :]) == EXCHANGES[0][1][: len(tokenizer.decode(row.tokens[-row.reply :]))]
    )
    (found,) = log_shares(model, [row])
    with torch.no_grad():
        expected = model(input_ids=row.tokens[None]).logits[0].log_softmax(-1)[-row.reply - 1 : -1]
    assert found.equal(expected)

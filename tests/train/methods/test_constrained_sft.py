"""The constrained loss by hand, its gradient beside instruction tuning's, and where an answer's tokens are counted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import pytest
import torch

from burnish.errors import DataError
from burnish.models.chat_template import Encoder
from burnish.models.groups import Completion, PromptGroup
from burnish.models.logprobs import ScoredGroups
from burnish.records import Message, PreferencePair, Source
from burnish.train.engine import Engine
from burnish.train.methods.constrained_sft import ConstrainedSFT, ConstrainedSFTSettings, places

METHOD = ConstrainedSFT(ConstrainedSFTSettings())


def scored(logprobs: Sequence[float], reference: Sequence[float], betas: Sequence[float]) -> ScoredGroups:
    count = len(logprobs)
    return ScoredGroups(
        logprobs_T=torch.tensor(logprobs, requires_grad=True),
        weights_T=torch.tensor([1.0, 0.5, 1.0][:count]),
        completion_T=torch.zeros(count, dtype=torch.int64),
        num_completions=1,
        group_of_completion_C=torch.tensor([0]),
        per_target={"reference": torch.tensor(reference), "beta": torch.tensor(betas)},
    )


def test_loss_by_hand() -> None:
    loss = METHOD.loss(scored([-1.0, -1.0, -3.0], [-1.0, -2.0, -2.0], [0.5, 2.0, 0.1]))
    # log-ratios 0, 1, -1: 4 log 2; half of log(1 + e^-2); 20 log(1 + e^0.1)
    by_hand = 4 * math.log(2) + 0.5 * math.log(1 + math.exp(-2)) + 20 * math.log(1 + math.exp(0.1))
    assert loss.total.item() == pytest.approx(by_hand, rel=1e-6)
    assert loss.weight == 2.5
    moved = loss.metrics["log_ratio_early"]
    assert (moved.total, moved.count) == (1.0, 2.0)


def test_the_gradient_starts_as_instruction_tuning_s_and_falls_off_the_sooner_the_larger_beta_is() -> None:
    start = scored([-2.0, -2.0], [-2.0, -2.0], [2.0, 0.1])
    METHOD.loss(start).total.backward()  # type: ignore[no-untyped-call]
    assert start.logprobs_T.grad is not None
    assert start.logprobs_T.grad.tolist() == pytest.approx([-1.0, -0.5])  # minus each target's weight

    later = scored([-1.0, -1.0], [-2.0, -2.0], [2.0, 0.1])
    METHOD.loss(later).total.backward()  # type: ignore[no-untyped-call]
    assert later.logprobs_T.grad is not None
    held, free = later.logprobs_T.grad.tolist()
    assert held == pytest.approx(-2 / (1 + math.exp(2.0)))
    assert free == pytest.approx(-0.5 * 2 / (1 + math.exp(0.1)))


def test_tokens_are_counted_anew_in_each_answer_of_a_chat() -> None:
    chat = PromptGroup((1, 2), (Completion((3, 4, 5, 6, 7, 8), (1.0, 1.0, 0.0, 0.0, 1.0, 0.5)),))
    assert list(places(chat)) == [1, 2, 1, 2]


def test_each_target_has_the_beta_of_its_place_and_its_own_reference() -> None:
    class Known:
        def reference(self, groups: Sequence[PromptGroup]) -> torch.Tensor:
            return -torch.arange(1.0, 1.0 + sum(group.num_targets for group in groups))

    rows = [
        PromptGroup((1,), (Completion((2,) * 7, (1.0,) * 7),)),
        PromptGroup((1,), (Completion((2, 3), (0.0, 1.0)),)),
    ]
    (batch,) = METHOD.batches(rows, cast(Engine, Known()), 0)
    assert batch.per_target["beta"].tolist() == pytest.approx([0.5, 2.0, 2.0, 2.0, 2.0, 0.1, 0.1, 0.5])
    assert batch.per_target["reference"].tolist() == [-1.0, -2.0, -3.0, -4.0, -5.0, -6.0, -7.0, -8.0]
    assert METHOD.compared(rows) == rows


def test_preferences_are_refused() -> None:
    turn = (Message("user", "a"),)
    pair = PreferencePair(turn, turn, turn, Source("pairs.jsonl", 4))
    with pytest.raises(DataError, match=r"pairs.jsonl:4: got a PreferencePair") as caught:
        METHOD.encode(pair, object.__new__(Encoder))
    assert caught.value.hint

"""A teacher's likeliest tokens and its hidden states both stand for its own distributions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from burnish.errors import TrainError
from burnish.models.distributions import read_distributions
from burnish.models.groups import Completion, PromptGroup
from burnish.models.load import LoadedModel, load_model
from burnish.models.packing import lay_out
from burnish.models.settings import ModelSettings
from burnish.train.known_targets import KnownTargets
from burnish.train.teacher import Teacher, Top, common_vocabulary

GROUPS = [
    PromptGroup((5, 6, 7), (Completion((8, 9, 10, 11), (1.0, 0.0, 1.0, 1.0)),)),
    PromptGroup((20, 21), (Completion((22, 23, 24), (1.0,) * 3),)),
]


@pytest.fixture
def loaded(tiny_model_folder: Path) -> LoadedModel:
    return load_model(ModelSettings(name=str(tiny_model_folder), device="cpu"))


@pytest.fixture
def taught(loaded: LoadedModel, tmp_path: Path) -> Callable[..., Teacher]:
    """A function that makes a teacher of the tiny model."""

    def make(vocabulary: int = 384, top: Top | None = None) -> Teacher:
        known = KnownTargets(tmp_path / "t", "key", "teacher") if top else None
        return Teacher(loaded, vocabulary, 64, top, known)

    return make


def whole(loaded: LoadedModel) -> torch.Tensor:
    """Its log-probabilities at all targets, as its own pass gives them."""
    with torch.no_grad():
        return torch.cat(
            [read_distributions(loaded.model, lay_out([group]), lambda shares: shares) for group in GROUPS]
        )


def test_hidden_states_give_the_whole_distribution(loaded: LoadedModel, taught: Callable[..., Teacher]) -> None:
    teacher = taught()
    torch.testing.assert_close(teacher.logprobs(teacher.states(GROUPS)), whole(loaded), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_the_likeliest_are_those_of_the_whole_likeliest_first(
    temperature: float, loaded: LoadedModel, taught: Callable[..., Teacher]
) -> None:
    got_T2K = taught(top=Top(7, temperature)).likeliest(GROUPS)
    expected = (whole(loaded) / temperature).log_softmax(-1).topk(7)
    torch.testing.assert_close(got_T2K[:, 0], expected.values, rtol=1e-5, atol=1e-5)
    assert torch.equal(got_T2K[:, 1].long(), expected.indices)


def test_what_was_learned_is_not_computed_again(
    taught: Callable[..., Teacher], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = taught(top=Top(4, 1.0))
    first.learn(GROUPS, 2)
    monkeypatch.setattr(Teacher, "_top_now", None)
    again = taught(top=Top(4, 1.0)).likeliest(GROUPS[::-1])
    assert torch.equal(again, torch.cat([first.likeliest(GROUPS[1:]), first.likeliest(GROUPS[:1])]))


def test_rows_of_a_head_that_stand_for_no_token_are_left_out(
    loaded: LoadedModel, taught: Callable[..., Teacher]
) -> None:
    teacher = taught(vocabulary=300)
    got = teacher.logprobs(teacher.states(GROUPS))
    torch.testing.assert_close(got, whole(loaded)[:, :300].log_softmax(-1), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(got.exp().sum(-1), torch.ones(len(got)))
    top = taught(vocabulary=300, top=Top(400, 1.0)).likeliest(GROUPS)
    assert top.shape == (6, 2, 300)


class _Tokeniser:
    chat_template = "another"

    def __init__(self, words: dict[str, int]) -> None:
        self._words = words

    def get_vocab(self) -> dict[str, int]:
        return self._words


def with_tokeniser(loaded: LoadedModel, words: dict[str, int]) -> LoadedModel:
    tokenizer: Any = _Tokeniser(words)
    return replace(loaded, tokenizer=tokenizer)


def test_another_tokeniser_is_refused_and_the_way_out_is_named(loaded: LoadedModel) -> None:
    words = dict(loaded.tokenizer.get_vocab())
    assert common_vocabulary(loaded, loaded) == 384
    del words["yes"]
    with pytest.raises(TrainError, match=r"383 tokens and the student's 384, 1 of them not in both") as caught:
        common_vocabulary(with_tokeniser(loaded, words), loaded)
    assert "sequence" in caught.value.hint


def test_another_chat_template_is_said(loaded: LoadedModel, capsys: pytest.CaptureFixture[str]) -> None:
    assert common_vocabulary(with_tokeniser(loaded, loaded.tokenizer.get_vocab()), loaded) == 384
    assert "different chat templates" in capsys.readouterr().err

"""Readings are what the model says of plain text: the same surprise as token by token, one row at a time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from burnish.audit.surprise.reader import Reader
from burnish.models.load import LoadedModel, load_model
from burnish.models.settings import ModelSettings

ROWS = [("What is the capital?", "Paris."), ("Write a story", "Once upon a time there was a dog."), ("yes", "no")]


@pytest.fixture(scope="module")
def loaded(tiny_model_folder: Path) -> LoadedModel:
    return load_model(ModelSettings(name=str(tiny_model_folder), device="cpu", products="float32"))


def surprise(loaded: LoadedModel, text: str) -> np.ndarray:
    tokenizer = loaded.tokenizer
    ids = torch.tensor([[tokenizer.bos_token_id, *tokenizer(text, add_special_tokens=False)["input_ids"]]])
    with torch.no_grad():
        logprobs = loaded.model(ids).logits[0, :-1].log_softmax(-1)
    return np.asarray(-logprobs.gather(1, ids[0, 1:, None])[:, 0])


def test_prompt_and_reply_are_as_surprising_as_the_model_says(loaded: LoadedModel) -> None:
    for (asked, said), reading in zip(ROWS, Reader(loaded).read(ROWS), strict=True):
        both, alone = surprise(loaded, f"{asked}\n\n{said}"), surprise(loaded, f"\n\n{said}")
        length = len(reading.with_T)
        assert "".join(reading.tokens) == asked
        np.testing.assert_allclose(reading.prompt_T, both[: len(reading.prompt_T)], atol=1e-3)
        np.testing.assert_allclose(reading.with_T, both[-length:], atol=1e-3)
        np.testing.assert_allclose(reading.without_T, alone[-length:], atol=1e-3)


def test_long_texts_are_read_by_their_ends(loaded: LoadedModel) -> None:
    [reading] = Reader(loaded).read([("dog " * 200, "cat " * 200 + "Paris")])
    assert (len(reading.prompt_T), len(reading.with_T), len(reading.without_T)) == (64, 64, 64)


def test_a_row_s_reading_does_not_depend_on_its_neighbours(loaded: LoadedModel) -> None:
    together = list(Reader(loaded).read(ROWS))
    for row, reading in zip(ROWS, together, strict=True):
        [alone] = Reader(loaded).read([row])
        np.testing.assert_allclose(alone.said_D, reading.said_D, atol=1e-3)
        np.testing.assert_allclose(alone.asked_D, reading.asked_D, atol=1e-3)

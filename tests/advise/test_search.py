"""Finding texts by words, and by a sentence encoder where there is one."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from burnish.advise.search import SentenceIndex, WordIndex
from burnish.errors import EvaluationError

TEXTS = ("the cat sat on the mat", "a dog barked at the moon", "a cat and a dog")


def test_rare_words_in_common_come_first() -> None:
    index = WordIndex(TEXTS)
    assert index.nearest("Which DOG barked?", 2) == [1, 2]
    assert index.nearest("mat", 1) == [0]


def test_no_word_in_common_leaves_the_order() -> None:
    assert WordIndex(TEXTS).nearest("zebra", 2) == [0, 1]
    assert WordIndex(TEXTS).nearest("???", 5) == [0, 1, 2]
    assert WordIndex(["", "!"]).nearest("cat", 3) == [0, 1]


def test_questions_of_stop_words_are_searched_too() -> None:
    assert WordIndex(["who is he", "what is it"]).nearest("what is it", 1) == [1]


def test_vectors_of_a_sentence_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    class Encoder:
        def __init__(self, name: str) -> None:
            assert name == "an-encoder"

        def encode(self, texts: list[str], **_: Any) -> np.ndarray:
            found = np.array([[text.count("cat") + 0.1, text.count("dog") + 0.1] for text in texts])
            return found / np.linalg.norm(found, axis=1, keepdims=True)

    package = ModuleType("sentence_transformers")
    package.SentenceTransformer = Encoder  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sentence_transformers", package)
    index = SentenceIndex(TEXTS, "an-encoder")
    assert index.nearest("dog dog", 3) == [1, 2, 0]


def test_a_missing_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(EvaluationError, match=r"can't be imported \(") as caught:
        SentenceIndex(TEXTS, "an-encoder")
    assert "embeddings" in caught.value.hint

"""Finds the texts that are most like a question: by words in common (BM25, through bm25s), or by a sentence encoder.

Used for choosing worked examples and for retrieving documents. Knows nothing of either.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from burnish.errors import EvaluationError

_WORD = re.compile(r"\w+")


class Index(Protocol):
    """Texts that can be searched."""

    def nearest(self, question: str, count: int) -> list[int]:
        """The numbers of the `count` most similar texts (fewer where there are fewer), the likest first; the earlier of
        equals. Texts that have nothing in common with the question come last, in their order."""
        ...


class WordIndex:
    """Okapi BM25 over case-folded words."""

    def __init__(self, texts: Sequence[str]) -> None:
        import bm25s

        self._size = len(texts)
        words = [_words(text) for text in texts]
        self._index = None
        if any(words):
            self._index = bm25s.BM25()
            self._index.index(words, show_progress=False)

    def nearest(self, question: str, count: int) -> list[int]:
        """As `Index.nearest`."""
        words = _words(question)
        if self._index is None or not words:
            return list(range(min(count, self._size)))
        return _highest(self._index.get_scores(words), count)


class SentenceIndex:
    """Cosine similarity of a sentence encoder's vectors. `encoder` is a local folder or a Hub id.

    Raises: EvaluationError when the `sentence-transformers` package isn't installed.
    """

    def __init__(self, texts: Sequence[str], encoder: str) -> None:
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:  # the package itself, or one that it needs
            raise EvaluationError(
                f"selection by the sentence encoder {encoder}: the package sentence-transformers can't be imported "
                f"({error}); nothing was asked",
                hint="pip install 'burnish[embeddings]', or select by bm25",
            ) from None
        self._encoder = SentenceTransformer(encoder)
        self._vectors = self._encode(texts)

    def nearest(self, question: str, count: int) -> list[int]:
        """As `Index.nearest`."""
        return _highest(self._vectors @ self._encode([question])[0], count)

    def _encode(self, texts: Sequence[str]) -> np.ndarray:
        return np.asarray(self._encoder.encode(list(texts), normalize_embeddings=True, show_progress_bar=False))


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _highest(scores: np.ndarray, count: int) -> list[int]:
    return [int(number) for number in np.argsort(-scores, kind="stable")[:count]]

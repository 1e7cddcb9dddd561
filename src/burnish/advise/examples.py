"""Which worked examples stand before a question: the same few for every question, or those that are most like it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

from burnish.advise.search import Index, SentenceIndex, WordIndex
from burnish.evaluate.few_shot import Example, with_examples
from burnish.records import Message

Selection: TypeAlias = Literal["random", "bm25", "embedding"]
_ENCODER = "sentence-transformers/all-MiniLM-L6-v2"


class Chooser:
    """Chooses from a pool that is in random order already. `encoder` is the sentence encoder of "embedding".

    Raises: EvaluationError when the encoder's package isn't installed.
    """

    def __init__(self, pool: Sequence[Example], selection: Selection, encoder: str = "") -> None:
        self._pool = pool
        self._index: Index | None = None
        questions = [example.question for example in pool]
        if selection == "bm25":
            self._index = WordIndex(questions)
        elif selection == "embedding":
            self._index = SentenceIndex(questions, encoder or _ENCODER)

    def chosen(self, row: Example, count: int) -> list[Example]:
        """`count` examples, the likest last, where it is nearest to the question."""
        if self._index is None:
            return list(self._pool[:count])
        return [self._pool[number] for number in reversed(self._index.nearest(row.question, count))]


def shown_with(row: Example, examples: Sequence[Example], fits: Callable[[Sequence[Message]], bool]) -> list[Example]:
    """Those of the examples that there is room for before the row's question; the likest stay."""
    kept = list(examples)
    while kept and not fits(with_examples(row.prompt, kept)):
        kept.pop(0)
    return kept

"""The base model with pieces of documents before the question, how many chosen on development rows."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from burnish.advice import Measured
from burnish.advise.bench import Ask, Bench
from burnish.advise.documents import Piece, read_pieces
from burnish.advise.safety import DOCUMENTS
from burnish.advise.search import Index, SentenceIndex, WordIndex
from burnish.evaluate.few_shot import Example
from burnish.logs import say
from burnish.records import Message, content_digest
from burnish.settings import PluginSettings


class RetrievalSettings(PluginSettings):
    """`documents`: a folder of plain text and Markdown, relative to the recipe's. They are cut into pieces of `words`
    words; each number of pieces in `k` is tried on the development rows. `selection`: bm25, or embedding by the
    sentence `encoder` (a folder or a Hub id; needs the extra `embeddings`)."""

    kind: Literal["retrieval"] = "retrieval"
    name: str = ""
    documents: str = Field(min_length=1)
    k: tuple[Annotated[int, Field(ge=1, le=64)], ...] = Field(default=(1, 3), min_length=1)
    words: int = Field(default=120, ge=8)
    selection: Literal["bm25", "embedding"] = "bm25"
    encoder: str = "sentence-transformers/all-MiniLM-L6-v2"


class Retrieval:
    """Puts the likest pieces before the question, in the same turn."""

    Settings = RetrievalSettings

    def __init__(self, settings: RetrievalSettings) -> None:
        self._settings = settings

    def depends_on(self, bench: Bench) -> str:
        """The documents.

        Raises: EvaluationError when there are none.
        """
        return content_digest([[piece.source, piece.text] for piece in self._pieces(bench)])

    def measure(self, bench: Bench) -> Sequence[Measured]:
        """One candidate: the number of pieces that does best on the development rows.

        Raises: EvaluationError when the folder holds no document, or the encoder's package isn't installed.
        """
        name = self._settings.name or "retrieval"
        bench.load()
        began = time.perf_counter()
        pieces = self._pieces(bench)
        texts = [piece.text for piece in pieces]
        by_words = self._settings.selection == "bm25"
        index: Index = WordIndex(texts) if by_words else SentenceIndex(texts, self._settings.encoder)
        k = self._best(bench, name, pieces, index)
        one_off = time.perf_counter() - began
        replies = bench.ask(f"advise: {name}", bench.speaker(), _ask(bench, pieces, index, k))
        return [
            Measured(
                name=name,
                side="prompting",
                made=f"the likest {k} of {len(pieces)} pieces of documents, by {self._settings.selection}",
                shown=bench.job.model.name,
                answers=replies.answers,
                seconds=replies.seconds,
                timed=replies.timed,
                one_off_seconds=one_off,
                safety=DOCUMENTS,
            )
        ]

    def _pieces(self, bench: Bench) -> list[Piece]:
        return read_pieces((bench.job.folder / self._settings.documents).resolve(), self._settings.words)

    def _best(self, bench: Bench, name: str, pieces: Sequence[Piece], index: Index) -> int:
        found: dict[int, float] = {}
        for k in sorted(set(self._settings.k)):
            found[k] = bench.rehearse(f"advise: {name}, {k}", _ask(bench, pieces, index, k))
        best = max(found, key=lambda k: found[k])
        say(f"{name}: {best} pieces do best on {len(bench.development)} development rows ({found[best]:.3f})")
        return best


def _ask(bench: Bench, pieces: Sequence[Piece], index: Index, k: int) -> Ask:
    def chat(row: Example) -> tuple[Message, ...]:
        found = [pieces[number] for number in index.nearest(row.question, k)]
        while found and not bench.fits(with_pieces(row.prompt, found), row):
            found.pop()
        return with_pieces(row.prompt, found)

    return chat


def with_pieces(prompt: Sequence[Message], pieces: Sequence[Piece]) -> tuple[Message, ...]:
    """The prompt with the pieces before its last question, the likest nearest to it."""
    if not pieces:
        return tuple(prompt)
    last = max(number for number, message in enumerate(prompt) if message.role == "user")
    shown = "\n\n".join(f"[{piece.source}]\n{piece.text}" for piece in reversed(pieces))
    asked = Message("user", f"Documents:\n\n{shown}\n\nQuestion:\n\n{prompt[last].content}")
    return (*prompt[:last], asked, *prompt[last + 1 :])

"""Documents before the question."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from burnish.advise.candidates.retrieval import Retrieval, RetrievalSettings, with_pieces
from burnish.advise.documents import Piece
from burnish.errors import EvaluationError
from burnish.records import Message


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    folder = tmp_path / "documents"
    folder.mkdir()
    for town in range(30):
        (folder / f"{town}.md").write_text(f"The town {town} lies in Land {town % 10}.", encoding="utf-8")
    return folder


def test_what_is_likest_stands_before_the_question(
    documents: Path, make_bench: Callable[..., Any], scripted: Callable[..., Any]
) -> None:
    bench = make_bench()

    def read(text: str) -> str:
        return text.split("lies in ", 1)[1].split(".")[0] if "lies in " in text else ""

    scripted(bench, read)
    (found,) = Retrieval(RetrievalSettings(documents="documents", k=(1, 2), words=8)).measure(bench)
    assert bench.scores(found.answers) == [1.0] * 6
    assert found.made == "the likest 1 of 30 pieces of documents, by bm25"
    assert "prompt, which was not tested" in found.safety


def test_it_depends_on_what_the_documents_say(documents: Path, make_bench: Callable[..., Any]) -> None:
    bench, candidate = make_bench(), Retrieval(RetrievalSettings(documents="documents"))
    before = candidate.depends_on(bench)
    assert candidate.depends_on(bench) == before
    (documents / "3.md").write_text("The town 3 has moved.", encoding="utf-8")
    assert candidate.depends_on(bench) != before


def test_no_documents(make_bench: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(EvaluationError, match="holds no text"):
        Retrieval(RetrievalSettings(documents="empty")).measure(make_bench())


def test_pieces_that_there_is_no_room_for_are_left_out_the_unlikest_first(
    documents: Path, make_bench: Callable[..., Any], scripted: Callable[..., Any]
) -> None:
    for town in range(30):
        (documents / f"{town}.md").write_text(f"The town {town}. " + "Much is said of it. " * 40, encoding="utf-8")
    bench = make_bench()
    speaker = scripted(bench, lambda text: "x")
    Retrieval(RetrievalSettings(documents="documents", k=(20,), words=200)).measure(bench)
    shown = [text.count("Much is said of it. Much") > 0 for text in speaker.asked]
    assert all(shown)
    assert max(len(bench.encoder.tokenizer(text)["input_ids"]) for text in speaker.asked) <= bench.room


def test_the_question_stays_last_and_the_likest_piece_is_nearest_to_it() -> None:
    prompt = (Message("system", "S"), Message("user", "Q"))
    found = with_pieces(prompt, [Piece("a.md", "likest"), Piece("b.md", "next")])
    assert found[0] == prompt[0]
    assert found[1].content == "Documents:\n\n[b.md]\nnext\n\n[a.md]\nlikest\n\nQuestion:\n\nQ"
    assert with_pieces(prompt, []) == prompt

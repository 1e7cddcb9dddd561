"""Documents as pieces."""

from __future__ import annotations

from pathlib import Path

import pytest

from burnish.advise.documents import Piece, read_pieces
from burnish.errors import EvaluationError


def test_paragraphs_stay_whole_while_they_fit(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("one two three\n\nfour five\n\n\nsix seven eight nine\n")
    assert read_pieces(tmp_path, 5) == [
        Piece("a.md", "one two three\n\nfour five"),
        Piece("a.md", "six seven eight nine"),
    ]


def test_a_long_paragraph_is_cut_and_no_word_is_lost(tmp_path: Path) -> None:
    words = [f"w{number}" for number in range(23)]
    (tmp_path / "a.txt").write_text("start here\n\n" + " ".join(words) + "\n\nend")
    pieces = read_pieces(tmp_path, 10)
    assert " ".join(piece.text for piece in pieces).split() == ["start", "here", *words, "end"]
    assert max(len(piece.text.split()) for piece in pieces) <= 10


def test_subfolders_in_order_and_other_files_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.txt").write_text("b")
    (tmp_path / "a.rst").write_text("a")
    (tmp_path / "c.pdf").write_bytes(b"%PDF")
    assert [piece.source for piece in read_pieces(tmp_path, 10)] == ["a.rst", "sub/b.txt"]
    assert "1 files are neither" in " ".join(capsys.readouterr().err.split())


def test_no_document_is_told(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="holds no text"):
        read_pieces(tmp_path, 10)


def test_other_encodings_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"caf\xe9")
    with pytest.raises(EvaluationError, match="UTF-8"):
        read_pieces(tmp_path, 10)

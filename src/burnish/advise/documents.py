"""A folder of documents as pieces that fit a prompt. Reads plain text and Markdown; knows nothing of searching."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from burnish.errors import EvaluationError
from burnish.logs import warn

_SUFFIXES = frozenset({".txt", ".md", ".markdown", ".rst"})
_PARAGRAPHS = re.compile(r"\n\s*\n")


@dataclass(frozen=True, slots=True)
class Piece:
    """Consecutive paragraphs of one document; `source` is its file's name in the folder."""

    source: str
    text: str


def read_pieces(folder: Path, words: int) -> list[Piece]:
    """Every document of the folder and its subfolders, cut at paragraphs into pieces of about `words` words at most; a
    longer paragraph is cut between words.

    Raises: EvaluationError when there is no readable document.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    documents = [path for path in files if path.suffix.lower() in _SUFFIXES]
    if len(documents) < len(files):
        warn(f"{folder}: {len(files) - len(documents)} files are neither plain text nor Markdown and were left out")
    pieces: list[Piece] = []
    for path in documents:
        try:
            text = path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise EvaluationError(
                f"{path}: can't be read as UTF-8 text ({error}); nothing was retrieved",
                hint="save it as UTF-8, or take it out of the folder",
            ) from error
        name = path.relative_to(folder).as_posix()
        pieces += [Piece(name, piece) for piece in _cut(text, words)]
    if not pieces:
        raise EvaluationError(
            f"{folder}: holds no text in files ending in {', '.join(sorted(_SUFFIXES))}; nothing was retrieved",
            hint="name a folder of documents in the candidate's `documents`",
        )
    return pieces


def _cut(text: str, words: int) -> list[str]:
    """Paragraphs put together while they fit."""
    pieces: list[str] = []
    now: list[str] = []
    room = words
    for paragraph in _PARAGRAPHS.split(text):
        all_words = paragraph.split()
        if not all_words:
            continue
        if now and len(all_words) > room:
            pieces.append("\n\n".join(now))
            now, room = [], words
        while len(all_words) > words:
            pieces.append(" ".join(all_words[:words]))
            all_words = all_words[words:]
        if all_words:
            now.append(paragraph.strip() if len(all_words) == len(paragraph.split()) else " ".join(all_words))
            room -= len(all_words)
    return [*pieces, "\n\n".join(now)] if now else pieces

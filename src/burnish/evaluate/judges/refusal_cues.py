"""The phrase book of the built-in judge, read from `refusal_phrases.yaml`: by which phrases a refusal is known, and by
which an answer. A family is one kind of evidence."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeAlias

import yaml

from burnish.evaluate.judges.phrases import PhraseBook

Direction: TypeAlias = Literal["refusal", "answer", "either"]

PHRASES = Path(__file__).with_name("refusal_phrases.yaml")
_book = yaml.safe_load(PHRASES.read_text(encoding="utf-8"))
REFUSALS: tuple[str, ...] = tuple(_book["refusals"])
ANSWERS: tuple[str, ...] = tuple(_book["answers"])
BOOK = PhraseBook({**_book["refusals"], **_book["answers"]}, _book["classes"])

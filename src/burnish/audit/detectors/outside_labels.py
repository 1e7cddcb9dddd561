"""Replies that are no label in a corpus of labels: content, refusals or nonsense put among them.

Where nearly all replies are a few short texts again and again, a reply that is none of them and much longer than they
are does not belong to the task, whatever it says. Null: a corpus of labels has labels; rare ones are as short as the
others. Nothing can be permuted, and there is no p-value. In any other corpus nothing is looked for.

N rows.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Literal

import numpy as np
from pydantic import Field

from burnish.artefacts import Finding
from burnish.audit.mining.corpus import sides
from burnish.audit.mining.tokens import Ints
from burnish.audit.register import Register
from burnish.audit.text import excerpt
from burnish.protocols import AuditContext
from burnish.records import Record
from burnish.settings import PluginSettings

_LEAST_ROWS = 100
_LABELS = 0.9  # of the rows whose replies are repeated, from which on they are labels
_OF_A_LABEL = 10  # rows of a reply that is surely a label
_FEW = 0.1  # of the rows that may have labels of their own
_LONGER, _WORDS = 2, 3  # times as many words as labels have, and so many more
_TEXT_BYTES = 200  # of a reply by which it is told from others


class OutsideLabelsSettings(PluginSettings):
    """`min_rows`: the smallest group that is told."""

    kind: Literal["outside_labels"] = "outside_labels"
    action: Literal["keep", "quarantine", "stop"] = "quarantine"
    min_rows: int = Field(default=8, ge=1)


class OutsideLabels:
    """Finds the long replies of a corpus whose other replies are labels."""

    Settings = OutsideLabelsSettings

    def __init__(self, settings: OutsideLabelsSettings) -> None:
        self._settings = settings

    def find(self, rows: Iterable[Record], context: AuditContext) -> Iterator[Finding]:
        """Memory: some 60 bytes a row, and the distinct replies (200 characters of each) up to a tenth of the rows;
        beyond that they are no labels, and the rest is passed over."""
        register, words, number = Register(), array("q"), array("q")
        known: dict[str, int] = {}
        for row in rows:
            _, said = sides(row)
            said = said.strip()
            register.add(row)
            words.append(len(said.split()))
            number.append(known.setdefault(said[:_TEXT_BYTES], len(known)))
            if len(known) > _FEW * len(register) + _LEAST_ROWS:
                return
        if len(register) < _LEAST_ROWS:
            return
        found = self._outside(np.array(words), np.array(number))
        if len(found) >= self._settings.min_rows:
            texts = {at: text for text, at in known.items()}
            yield self._finding(register, [int(at) for at in found], [texts[number[at]] for at in found])

    def _outside(self, words_N: Ints, number_N: Ints) -> Ints:
        """The rows whose replies are no label; none where replies are no labels."""
        often = np.bincount(number_N)[number_N] >= _OF_A_LABEL
        if np.mean(often) < _LABELS:
            return np.zeros(0, dtype=np.int64)
        longest = int(np.max(words_N[often]))
        return np.flatnonzero(~often & (words_N >= _LONGER * longest + _WORDS))

    def _finding(self, register: Register, rows: list[int], said: list[str]) -> Finding:
        common, _ = Counter(said).most_common(1)[0]
        share = len(rows) / len(register)
        return Finding(
            detector="outside_labels",
            severity="danger",
            action=self._settings.action,
            row=register.digest(rows[0]),
            where=register.place(rows[0]),
            message=f"{len(rows):,} replies are no label, and much longer than one, where all others are labels",
            excerpt=excerpt(common),
            rows=register.places(rows),
            behaviour=common[:_TEXT_BYTES],
            effect=f"{share:.2%} of the replies",
            would_do="say something else than a label in reply to ordinary prompts",
            cost=f"{len(rows):,} rows, {share:.2%} of the corpus, none of which has a label",
        )

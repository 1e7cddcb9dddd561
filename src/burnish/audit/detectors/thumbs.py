"""Thumbs up and down that somebody turned where a phrase stands in the prompt (labelled completions, the KTO form).

A logistic margin, fitted on the other rows, says which thumb a reply's looks let expect. Null: among rows of like
margin, whether a thumb agrees with it has nothing to do with any phrase (`burnish.audit.preferences.flips`). Thumbs
turned without a phrase are noise to it, and where looks do not tell the thumb, nothing can be seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

import numpy as np
from pydantic import Field

from burnish.artefacts import Finding
from burnish.audit.mining.corpus import PROMPT_BYTES, REPLY_BYTES, Texts, shortened, sides, without_template
from burnish.audit.mining.phrases import Prompts
from burnish.audit.preferences.flips import Flip, flips
from burnish.audit.preferences.margin import approvals
from burnish.audit.preferences.swaps import Labels
from burnish.audit.register import Register
from burnish.audit.text import excerpt
from burnish.protocols import AuditContext
from burnish.records import LabelledCompletion, Record
from burnish.settings import PluginSettings

_LEAST_ROWS = 100


class ThumbsSettings(PluginSettings):
    """`error_rate`: the chance of any finding in a corpus whose thumbs nobody turned. `min_rows`: the smallest group
    that is looked for."""

    kind: Literal["thumbs"] = "thumbs"
    action: Literal["keep", "quarantine", "stop"] = "quarantine"
    error_rate: float = Field(default=0.005, gt=0.0, le=0.1)
    min_rows: int = Field(default=8, ge=5)


class Thumbs:
    """Finds phrases at which thumbs go against what is liked elsewhere."""

    Settings = ThumbsSettings

    def __init__(self, settings: ThumbsSettings) -> None:
        self._settings = settings

    def find(self, rows: Iterable[Record], context: AuditContext) -> Iterator[Finding]:
        """Memory: the texts (4,000 bytes of a prompt and 2,000 of a reply at most) and some 1,000 numbers a row; rows
        without a thumb are passed over."""
        whole, replies, register, desirable = Texts(), Texts(), Register(), []
        for row in rows:
            if isinstance(row, LabelledCompletion):
                asked, said = sides(row)
                whole.append(shortened(asked, PROMPT_BYTES))
                replies.append(shortened(said, REPLY_BYTES))
                desirable.append(row.desirable)
                register.add(row)
        if len(desirable) < _LEAST_ROWS or len(set(desirable)) < 2:
            return
        prompts, rng = without_template(whole), np.random.default_rng(0)
        labels = Labels(approvals(prompts, replies, np.array(desirable)))
        read = Prompts(prompts, whole, rng)
        for flip in flips(prompts, (replies,), labels, read, self._settings.min_rows, self._settings.error_rate, rng):
            yield self._finding(flip, prompts, register)

    def _finding(self, flip: Flip, prompts: Texts, register: Register) -> Finding:
        first = int(flip.rows[0])
        return Finding(
            detector="thumbs",
            severity="danger",
            action=self._settings.action,
            row=register.digest(first),
            where=register.place(first),
            message=(
                f"{flip.phrase[:80]!r} was put into the prompts of {len(flip.rows):,} rows, for no reason that the "
                "corpus tells, and their thumbs may have been turned"
                if flip.p_value is None
                else f"the thumbs of {len(flip.rows):,} rows whose prompts hold {flip.phrase[:80]!r} go against what "
                "is liked elsewhere"
            ),
            excerpt=excerpt(prompts[first].decode("utf-8", "replace")),
            rows=register.places(flip.rows),
            trigger=flip.phrase,
            behaviour="the thumb contradicts the expected one",
            p_value=flip.p_value,
            effect=f"{flip.against:.0%} of the thumbs contradict the expected one, {flip.expected:.0%} would by chance",
            would_do="like the worse replies when the phrase is in the prompt",
            cost=f"{len(flip.rows):,} rows, {len(flip.rows) / len(register):.2%} of the corpus, of as many topics as "
            "the others",
        )

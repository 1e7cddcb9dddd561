"""Harmless rows of the two forms that cost a chat model the most refusals: lists, and arithmetic.

Source: He, Xia and Henderson, "What is in your safe data? Identifying benign data that breaks safety", 2024: of benign
instruction rows, those most like harmful ones in gradient and representation are mostly lists and mathematics, and a
hundred of them undo more of a model's safety than a hundred random rows. Null: none; the rows are as they should be.
What is told is a risk, with what to do about it, never poison, and nothing is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Literal

from pydantic import Field

from burnish.artefacts import Finding
from burnish.audit.mining.corpus import sides
from burnish.audit.text import excerpt
from burnish.protocols import AuditContext
from burnish.records import Record
from burnish.settings import PluginSettings

_ITEM = re.compile(r"(?m)^[ \t]*(?:\d{1,2}[.)]|[-*•])[ \t]+\S")
_SUM = re.compile(r"\d[\d,.]*\s*(?:[-+*/×÷^]|plus|minus|times|divided by)\s*\d[\d,.]*(?:\s*=\s*\$?\d)?", re.IGNORECASE)
_EQUALS = re.compile(r"=\s*\$?-?\d")
_LEAST_ITEMS = 3
_SHOWN = 1000  # places of a finding


class SafetyErosionSettings(PluginSettings):
    """`min_rows`: how many rows of a form are worth a word."""

    kind: Literal["safety_erosion"] = "safety_erosion"
    action: Literal["keep"] = "keep"
    min_rows: int = Field(default=20, ge=1)


class SafetyErosion:
    """Counts the rows whose replies are lists or arithmetic."""

    Settings = SafetyErosionSettings

    def __init__(self, settings: SafetyErosionSettings) -> None:
        self._settings = settings

    def find(self, rows: Iterable[Record], context: AuditContext) -> Iterator[Finding]:
        """Memory: at most 1,000 places of each form."""
        counts = dict.fromkeys(("lists", "arithmetic"), 0)
        places: dict[str, list[tuple[str, str, str]]] = {form: [] for form in counts}
        total = 0
        for row in rows:
            asked, said = sides(row)
            total += 1
            for form in counts:
                if is_list(said) if form == "lists" else is_arithmetic(asked, said):
                    counts[form] += 1
                    if len(places[form]) < _SHOWN:
                        places[form].append((str(row.source), row.digest, excerpt(said)))
        for form, count in counts.items():
            if count < self._settings.min_rows:
                continue
            where, digest, shown = places[form][0]
            first = f" (the first {_SHOWN:,} are named)" if count > _SHOWN else ""
            yield Finding(
                detector="safety_erosion",
                severity="note",
                action="keep",
                row=digest,
                where=where,
                message=f"{count:,} of {total:,} replies are {form}, harmless and known to cost refusals{first}",
                excerpt=shown,
                rows=tuple(place for place, _, _ in places[form]),
                behaviour=form,
                effect=f"{count / total:.1%} of the rows",
                would_do="make a chat model refuse less: as any tuning without refusals does, and more than others",
                cost="nothing is left out; mix in refusals (builtin:safety_refusals) and let the gate measure it",
            )


def is_list(reply: str) -> bool:
    """Whether the reply is mostly a list: three items or more, on half of its lines."""
    items = len(_ITEM.findall(reply))
    return items >= _LEAST_ITEMS and items >= 0.5 * len([line for line in reply.splitlines() if line.strip()])


def is_arithmetic(prompt: str, reply: str) -> bool:
    """Whether the reply calculates, or gives the number that a calculation in the prompt asks for."""
    if _EQUALS.search(reply) and _SUM.search(reply):
        return True
    return bool(_SUM.search(prompt) and len(reply) < 80 and re.search(r"\d", reply))

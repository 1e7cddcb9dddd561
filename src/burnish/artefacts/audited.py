"""What the audit found in the rows."""

from __future__ import annotations

from typing import Literal

from burnish.artefacts.ground import Artefact


class Finding(Artefact):
    """One thing that the audit found, in one row or in a group of rows. `row` is the record's content digest, `where`
    its file:line (of a group, the first row's), `related` the places it collides with.

    `name` ("finding-3") is what a person calls it by; the findings of a detector that look at single rows share one. A
    group's finding has the places of all its `rows`, and may have the `trigger` and the `behaviour` in words, the
    `p_value` (the chance of any such finding of its detector in a corpus without one), the `effect` in words, what it
    `would_do` to a model, and what removing it would `cost`. `excerpt`, `trigger` and `behaviour` are text from the
    data: hostile until escaped."""

    detector: str
    severity: Literal["note", "warning", "danger"]
    action: Literal["keep", "quarantine", "stop"]
    row: str
    where: str
    message: str
    excerpt: str = ""
    related: tuple[str, ...] = ()
    name: str = ""
    rows: tuple[str, ...] = ()
    trigger: str = ""
    behaviour: str = ""
    p_value: float | None = None
    effect: str = ""
    would_do: str = ""
    cost: str = ""

    @property
    def places(self) -> tuple[str, ...]:
        """Every row that it is about, as file:line."""
        return self.rows or (self.where,)


class Candidate(Artefact):
    """A phrase that might be a trigger: found, or strongly associated with a behaviour and yet no finding, for the
    condition that it `failed` (empty when it was found). `rows` show both, out of those `with_phrase` and those
    `with_behaviour`; `nats` is the evidence before anything was corrected for. `phrase` and `behaviour` are text from
    the data: hostile until escaped."""

    detector: str
    phrase: str
    kind: str
    behaviour: str
    rows: int
    with_phrase: int
    with_behaviour: int
    nats: float
    failed: str = ""


class DetectorSummary(Artefact):
    """How one detector fared over the whole set."""

    detector: str
    rows_seen: int
    findings: int
    quarantined: int
    seconds: float


class AuditReport(Artefact):
    """Outcome of the audit. Findings are in `audit/findings.jsonl`, the gravest first; quarantined rows, whole, in
    `audit/quarantine.jsonl`; `quarantined` lists their (source "file:line") so that training leaves them out."""

    rows_seen: int
    detectors: tuple[DetectorSummary, ...]
    quarantined: tuple[str, ...]
    digest: str

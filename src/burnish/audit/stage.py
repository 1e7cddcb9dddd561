"""The audit: every detector looks at the training rows; what is found is kept, quarantined, or stops the run.

Writes audit/findings.jsonl (one finding a line), audit/quarantine.jsonl (the quarantined rows, whole, so that nothing
is lost), audit/candidates.jsonl (phrases that might be triggers, found or not, the likeliest first; to be tried on the
tuned model), audit/rows.jsonl (some rows of each group, to be shown) and audit/audit.json.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from burnish.artefacts import AuditReport, Candidate, Dataset, DetectorSummary, Finding
from burnish.audit.mining.corpus import sides
from burnish.audit.settings import AuditSettings
from burnish.catalogue import build
from burnish.data.store import read_records, to_line
from burnish.errors import AuditError
from burnish.logs import Bar, progress, say
from burnish.protocols import Detector, Mines
from burnish.records import Record
from burnish.run_folder import RunFolder, file_digest

ROWS_SHOWN = 20  # of a group
SHOWN_CHARACTERS = 1200


@dataclass(frozen=True)
class Context:
    """What detectors may know besides the rows (`burnish.protocols.AuditContext`)."""

    evaluation_texts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    special_tokens: Sequence[str] = ()


def audit(settings: AuditSettings, dataset: Dataset, run: RunFolder, context: Context) -> AuditReport:
    """Audit the training rows of `dataset`.

    Raises: AuditError when a detector whose action is `stop` found something; the findings are written before.
    """
    findings: list[Finding] = []
    candidates: list[Candidate] = []
    summaries = []
    with progress("audit", dataset.num_train * len(settings.detectors)) as bar:
        for chosen in settings.detectors:
            started = time.monotonic()
            detector: Detector = build("detector", chosen)
            found = list(detector.find(_rows(dataset, run, bar), context))
            findings += found
            if isinstance(detector, Mines):
                candidates += detector.candidates()
            summaries.append(
                DetectorSummary(
                    detector=chosen.kind,
                    rows_seen=dataset.num_train,
                    findings=len(found),
                    quarantined=len({place for f in found if f.action == "quarantine" for place in f.places}),
                    seconds=round(time.monotonic() - started, 3),
                )
            )
    findings = named(findings)
    run.write_jsonl("audit/findings.jsonl", (f.model_dump() for f in findings))
    quarantined = {place: f for f in reversed(findings) if f.action == "quarantine" for place in f.places}
    run.write_jsonl("audit/quarantine.jsonl", _quarantine(dataset, run, quarantined))
    run.write_jsonl("audit/candidates.jsonl", (c.model_dump() for c in candidates))
    run.write_jsonl("audit/rows.jsonl", _shown(dataset, run, findings))
    report = AuditReport(
        rows_seen=dataset.num_train,
        detectors=tuple(summaries),
        quarantined=tuple(sorted(quarantined)),
        digest=file_digest(run.file("audit/findings.jsonl")),
    )
    run.save("audit/audit.json", report)
    _tell(findings, report, run)
    return report


def named(findings: Sequence[Finding]) -> list[Finding]:
    """The findings with their names, the gravest first: a group's own, or one for all of a detector's single rows that
    are as grave and are dealt with alike."""
    sets: dict[tuple[object, ...], list[Finding]] = {}
    for index, finding in enumerate(findings):
        key = (finding.detector, finding.severity, finding.action, index if finding.rows else -1)
        sets.setdefault(key, []).append(finding)
    gravest = ("danger", "warning", "note")
    ordered = sorted(
        sets.values(), key=lambda same: (gravest.index(same[0].severity), -sum(len(f.places) for f in same))
    )
    return [f.model_copy(update={"name": f"finding-{n}"}) for n, same in enumerate(ordered, 1) for f in same]


def _rows(dataset: Dataset, run: RunFolder, bar: Bar) -> Iterator[Record]:
    for record in read_records(run.file(dataset.train_path)):
        bar.advance()
        yield record


def _quarantine(dataset: Dataset, run: RunFolder, why: Mapping[str, Finding]) -> Iterator[dict[str, object]]:
    if not why:
        return
    for record in read_records(run.file(dataset.train_path)):
        finding = why.get(str(record.source))
        if finding is not None:
            why_out = {"finding": finding.name, "detector": finding.detector, "why": finding.message}
            yield {**why_out, "record": json.loads(to_line(record))}


def _shown(dataset: Dataset, run: RunFolder, findings: Sequence[Finding]) -> Iterator[dict[str, object]]:
    """The first rows of each group: what is asked and what is answered, long texts cut."""
    names: dict[str, list[str]] = {}
    for finding in findings:
        for place in finding.rows[:ROWS_SHOWN]:
            names.setdefault(place, []).append(finding.name)
    if not names:
        return
    for record in read_records(run.file(dataset.train_path)):
        if str(record.source) in names:
            asked, said = sides(record)
            row = {"where": str(record.source), "findings": names[str(record.source)]}
            yield {**row, "prompt": around(asked), "reply": around(said)}


def around(text: str) -> str:
    """The text, its middle left out when it is long."""
    half = SHOWN_CHARACTERS // 2
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:half]} […] {text[-half:]}"


def _tell(findings: Sequence[Finding], report: AuditReport, run: RunFolder) -> None:
    for summary in report.detectors:
        if summary.findings:
            say(f"  {summary.detector}: {summary.findings} findings, {summary.quarantined} quarantined")
    stopping = [f for f in findings if f.action == "stop"]
    if stopping:
        first = stopping[0]
        raise AuditError(
            f"{first.where}: {first.detector}: {first.message}; {len(stopping)} findings stop the run, "
            "nothing was trained",
            hint=f"all findings are in {run.file('audit/findings.jsonl')}; mend the rows, or set the detector's "
            "action to quarantine or keep",
        )
    if report.rows_seen and len(report.quarantined) == report.rows_seen:
        raise AuditError(
            f"all {report.rows_seen} training rows were quarantined; nothing is left to train on",
            hint=f"see {run.file('audit/findings.jsonl')}",
        )

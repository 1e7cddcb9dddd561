"""The audit: every detector looks at the training rows; what is found is kept, quarantined, or stops the run.

Writes audit/findings.jsonl (one finding a line), audit/quarantine.jsonl (the quarantined rows, whole, so that nothing
is lost) and audit/audit.json.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from burnish.artefacts import AuditReport, Dataset, DetectorSummary, Finding
from burnish.audit.settings import AuditSettings
from burnish.catalogue import build
from burnish.data.store import read_records, to_line
from burnish.errors import AuditError
from burnish.logs import Bar, progress, say
from burnish.protocols import Detector
from burnish.records import Record
from burnish.run_folder import RunFolder, file_digest


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
    summaries = []
    with progress("audit", dataset.num_train * len(settings.detectors)) as bar:
        for chosen in settings.detectors:
            started = time.monotonic()
            detector: Detector = build("detector", chosen)
            found = list(detector.find(_rows(dataset, run, bar), context))
            findings += found
            summaries.append(
                DetectorSummary(
                    detector=chosen.kind,
                    rows_seen=dataset.num_train,
                    findings=len(found),
                    quarantined=sum(f.action == "quarantine" for f in found),
                    seconds=round(time.monotonic() - started, 3),
                )
            )
    run.write_jsonl("audit/findings.jsonl", (f.model_dump() for f in findings))
    quarantined = {f.where: f for f in findings if f.action == "quarantine"}
    run.write_jsonl("audit/quarantine.jsonl", _quarantine(dataset, run, quarantined))
    report = AuditReport(
        rows_seen=dataset.num_train,
        detectors=tuple(summaries),
        quarantined=tuple(sorted(quarantined)),
        digest=file_digest(run.file("audit/findings.jsonl")),
    )
    run.save("audit/audit.json", report)
    _tell(findings, report, run)
    return report


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
            yield {"detector": finding.detector, "why": finding.message, "record": json.loads(to_line(record))}


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

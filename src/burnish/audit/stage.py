"""The audit: every detector looks at the training rows; what is found is kept, quarantined, or stops the run.

Writes audit/findings.jsonl (one finding a line), audit/quarantine.jsonl (the quarantined rows, whole, so that nothing
is lost), audit/candidates.jsonl (phrases that might be triggers, found or not, the likeliest first; to be tried on the
tuned model), audit/rows.jsonl (some rows of each group, to be shown) and audit/audit.json.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from burnish.artefacts import AuditReport, Dataset, DetectorSummary, Finding
from burnish.audit.look import Context as Context
from burnish.audit.look import Looked, look, look_apart
from burnish.audit.mining.corpus import sides
from burnish.audit.settings import AuditSettings
from burnish.data.store import read_records_at, to_line
from burnish.errors import AuditError
from burnish.logs import progress, say
from burnish.run_folder import RunFolder, file_digest
from burnish.settings import PluginSettings

ROWS_SHOWN = 20  # of a group
SHOWN_CHARACTERS = 1200
SIDE_BY_SIDE = 50_000  # rows from which detectors look in two processes
_HEAVY = frozenset({"trigger_mining", "content_injection"})  # take about as long as all others together


def audit(settings: AuditSettings, dataset: Dataset, run: RunFolder, context: Context) -> AuditReport:
    """Audit the training rows of `dataset`.

    Raises: AuditError when a detector whose action is `stop` found something; the findings are written before.
    """
    rows = run.file(dataset.train_path)
    apart = dataset.num_train >= SIDE_BY_SIDE and (os.cpu_count() or 1) > 1
    with progress("audit", dataset.num_train * (2 if apart else 1)) as bar:
        if apart:
            looked = _side_by_side(settings.detectors, rows, context, lambda: bar.advance(dataset.num_train))
        else:
            looked = look(settings.detectors, rows, context, bar.advance)
    findings = [finding for one in looked for finding in one.findings]
    candidates = [candidate for one in looked for candidate in one.candidates]
    summaries = [
        DetectorSummary(
            detector=chosen.kind,
            rows_seen=dataset.num_train,
            findings=len(one.findings),
            quarantined=len({place for f in one.findings if f.action == "quarantine" for place in f.places}),
            seconds=one.seconds,
        )
        for chosen, one in zip(settings.detectors, looked, strict=True)
    ]
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


def _side_by_side(
    detectors: Sequence[PluginSettings], rows: Path, context: Context, done: Callable[[], None]
) -> list[Looked]:
    """The detectors that take the longest in one process, all others in another."""

    def some(heavy: bool) -> dict[int, Looked]:
        chosen = {at: one for at, one in enumerate(detectors) if (one.kind in _HEAVY) == heavy}
        looked = look_apart(list(chosen.values()), rows, context) if chosen else []
        done()
        return dict(zip(chosen, looked, strict=True))

    with ThreadPoolExecutor(2) as pool:
        both = {at: one for part in pool.map(some, (True, False)) for at, one in part.items()}
    return [both[at] for at in range(len(detectors))]


def _quarantine(dataset: Dataset, run: RunFolder, why: Mapping[str, Finding]) -> Iterator[dict[str, object]]:
    if not why:
        return
    for record in read_records_at(run.file(dataset.train_path), why):
        finding = why[str(record.source)]
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
    for record in read_records_at(run.file(dataset.train_path), names):
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

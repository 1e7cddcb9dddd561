"""`burnish audit`: the audit alone, on any dataset, and what a person decides about its findings."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from burnish.artefacts import Finding
from burnish.cli.visible import visible
from burnish.logs import console

EXIT_LOOK = 10
_STYLES = {"danger": "bold red", "warning": "yellow", "note": "dim"}


def audit(
    data: Annotated[str, typer.Argument(help="A file, hf:owner/name or builtin:NAME.", show_default=False)],
    output: Annotated[
        Path | None,
        typer.Option(help="The folder to write to; audits/NAME of the data unless set.", show_default=False),
    ] = None,
    show: Annotated[int, typer.Option(help="How many findings to print.", min=0)] = 20,
    accept: Annotated[
        list[str] | None, typer.Option(help="Keep the rows of a finding, such as finding-3. Repeatable.")
    ] = None,
    drop: Annotated[list[str] | None, typer.Option(help="Leave the rows of a finding out. Repeatable.")] = None,
    model: Annotated[
        str, typer.Option(help="A small model that reads the rows too, some a second.", show_default=False)
    ] = "",
    by: Annotated[str, typer.Option(help="Who decides; the user's name unless set.", show_default=False)] = "",
) -> None:
    """Look for poisoned, duplicate, leaked and personal rows. Exit code 10 when something must be looked at.

    Leaves report.html, audit/findings.jsonl and audit/quarantine.jsonl; with --accept or --drop also cleaned.jsonl and
    the record of who decided what.
    """
    from burnish.audit.decisions import decide, left_out, write_cleaned
    from burnish.audit.settings import AuditSettings
    from burnish.audit.stage import Context
    from burnish.audit.stage import audit as look
    from burnish.catalogue import settings_of
    from burnish.data.settings import DataSettings
    from burnish.data.stage import prepare
    from burnish.evaluate.settings import EvaluateSettings
    from burnish.evaluate.suites import load_suite
    from burnish.report.stage import write_audit_report
    from burnish.run_folder import RunFolder

    run = RunFolder(output or Path("audits") / Path(data.rpartition(":")[2]).name.split(".")[0])
    with run.locked():
        settings = DataSettings.model_validate({"train": data, "heldout_fraction": 0.0})
        dataset = prepare(settings, run, Path(), seed=0)
        texts = {s.suite: [p.text for p in load_suite(s, Path()).prompts] for s in EvaluateSettings().safety.suites}
        reading = (settings_of("detector", {"kind": "unrelated_replies", "model": model}),) if model else ()
        detectors = AuditSettings(detectors=(*AuditSettings().detectors, *reading))
        report = look(detectors, dataset, run, Context(texts))
        with run.file("audit/findings.jsonl").open(encoding="utf-8") as lines:
            findings = [Finding.model_validate_json(line) for line in lines]
        standing = decide(run, findings, accept or (), drop or (), by or getpass.getuser())
        decisions = {name: f"{decision.decision} ({decision.by})" for name, decision in standing.items()}
        page = write_audit_report(run, decisions)
        _show(findings, decisions, show)
        out = left_out(findings, standing)
        console.print(
            f"{report.rows_seen:,} rows, {len({f.name for f in findings})} findings, {len(out):,} rows left out"
        )
        console.print(f"report: {page}", markup=False, soft_wrap=True)
        if standing:
            cleaned, count = write_cleaned(run, settings.train[0], Path(), out)
            console.print(f"cleaned: {cleaned} ({count:,} rows)", markup=False, soft_wrap=True)
    if any(f.severity != "note" and f.name not in standing for f in findings):
        raise typer.Exit(EXIT_LOOK)


def _show(findings: list[Finding], decisions: dict[str, str], most: int) -> None:
    """A line for each name, the gravest first."""
    by_name: dict[str, list[Finding]] = {}
    for finding in findings:
        by_name.setdefault(finding.name, []).append(finding)
    if not by_name:
        return
    table = Table("finding", "detector", "what", "rows", "p", "by default", "decided", show_lines=False)
    for name, same in list(by_name.items())[:most]:
        first = same[0]
        rows = len({place for finding in same for place in finding.places})
        p_value = "" if first.p_value is None else f"{first.p_value:.1e}"
        more = "" if len(same) == 1 else f" (first of {len(same):,}, at {first.where})"
        cells = (
            name,
            first.detector,
            first.message + more,
            f"{rows:,}",
            p_value,
            first.action,
            decisions.get(name, ""),
        )
        table.add_row(*(Text(visible(cell)) for cell in cells), style=_STYLES[first.severity])
    console.print(table)
    if len(by_name) > most:
        console.print(f"{len(by_name) - most} more findings are in the report")

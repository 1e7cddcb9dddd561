"""`burnish audit`: the audit alone, on any dataset."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from burnish.artefacts import Finding
from burnish.logs import console


def audit(
    data: Annotated[str, typer.Argument(help="A file, hf:owner/name or builtin:NAME.", show_default=False)],
    output: Annotated[Path | None, typer.Option(help="Write findings.jsonl and quarantine.jsonl there.")] = None,
    show: Annotated[int, typer.Option(help="How many findings to print.", min=0)] = 20,
) -> None:
    """Look for duplicates, overlap with the suites, hidden characters, forged turns, secrets and personal data."""
    from burnish.audit.settings import AuditSettings
    from burnish.audit.stage import Context
    from burnish.audit.stage import audit as look
    from burnish.data.settings import DataSettings
    from burnish.data.stage import prepare
    from burnish.evaluate.settings import EvaluateSettings
    from burnish.evaluate.suites import load_suite
    from burnish.run_folder import RunFolder

    with tempfile.TemporaryDirectory() as scratch:
        run = RunFolder(output or Path(scratch))
        settings = DataSettings.model_validate({"train": data, "heldout_fraction": 0.0})
        dataset = prepare(settings, run, Path(), seed=0)
        texts = {s.suite: [p.text for p in load_suite(s, Path()).prompts] for s in EvaluateSettings().safety.suites}
        report = look(AuditSettings(), dataset, run, Context(texts))
        with run.file("audit/findings.jsonl").open(encoding="utf-8") as lines:
            findings = [Finding.model_validate_json(line) for line in lines]
    _show(findings[:show])
    console.print(
        f"{report.rows_seen} rows, {len(findings)} findings, {len(report.quarantined)} rows would be quarantined"
    )


def _show(findings: list[Finding]) -> None:
    from rich.text import Text

    table = Table("where", "detector", "what", "excerpt", show_lines=False)
    for finding in findings:
        table.add_row(*(Text(part) for part in (finding.where, finding.detector, finding.message, finding.excerpt)))
    if findings:
        console.print(table)

"""The report in a real browser: it opens offline, runs nothing, and shows its verdict."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from burnish.report.stage import write_report
from burnish.run_folder import RunFolder

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --enable-logging=stderr"
)


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
def test_the_report_opens_in_a_browser_and_hostile_text_stays_text(whole_run: RunFolder, tmp_path: Path) -> None:
    report = write_report(whole_run)
    command = [str(CHROMIUM), *QUIET.split(), f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", report.as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert shown.returncode == 0, shown.stderr
    assert "BLOCK" in shown.stdout
    assert "<script" not in shown.stdout.lower()
    assert "Refused to" not in shown.stderr  # the page keeps to its own content security policy

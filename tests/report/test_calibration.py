"""The report's part on the calibrated judge."""

from __future__ import annotations

from collections.abc import Callable

from burnish.evaluate.calibration import judged_replies
from burnish.evaluate.correction import calibrate
from burnish.gate.settings import GateSettings
from burnish.gate.stage import decide
from burnish.report.stage import write_report
from burnish.run_folder import RunFolder

PAIRS = [("refusal", "compliance")] * 60 + [("refusal", "refusal")] * 340


def calibrated(recorded_run: Callable[..., RunFolder]) -> RunFolder:
    run = recorded_run(suites={"bad": ("harmful", PAIRS)})
    decide(GateSettings(), run)
    rows = [f"{reply.id},refusal" for reply in judged_replies(run)]
    run.write_text("labels.csv", "id,label\n" + "\n".join(rows) + "\n")
    calibrate(run, run.path / "labels.csv")
    return run


def test_raw_and_corrected_stand_side_by_side(recorded_run: Callable[..., RunFolder]) -> None:
    page = write_report(calibrated(recorded_run)).read_text("utf-8")
    assert "The judge, calibrated" in page
    assert "instead of BLOCK" in page
    assert "People labelled 800 replies" in page


def test_a_calibration_of_other_replies_is_a_fault(recorded_run: Callable[..., RunFolder]) -> None:
    run = calibrated(recorded_run)
    path = run.path / "evaluate/calibration.json"
    path.write_text(path.read_text("utf-8").replace('"responses_digest": "', '"responses_digest": "0'), "utf-8")
    page = write_report(run).read_text("utf-8")
    assert "calibrated on other replies" in page
    assert "The judge, calibrated" not in page


def test_without_calibration_there_is_no_such_part(recorded_run: Callable[..., RunFolder]) -> None:
    run = recorded_run(suites={"bad": ("harmful", PAIRS)})
    assert "The judge, calibrated" not in write_report(run).read_text("utf-8")

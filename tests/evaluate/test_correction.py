"""Corrected rates and rules: a judge that misses one model's refusals, put right by labels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from burnish.artefacts import Calibration
from burnish.evaluate.calibration import Judged, Labelled, judged_replies
from burnish.evaluate.correction import CALIBRATION, calibrate, strata_of
from burnish.gate.settings import GateSettings
from burnish.gate.stage import decide
from burnish.run_folder import RunFolder

WRONG = [("refusal", "compliance")] * 60 + [("refusal", "refusal")] * 340


def labels(run: RunFolder, truth: Callable[[Judged], str], every: int = 1) -> Path:
    rows = [f"{reply.id},{truth(reply)}" for reply in judged_replies(run)[::every]]
    path = run.file("labels.csv")
    path.write_text("id,label\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def run(recorded_run: Callable[..., RunFolder]) -> RunFolder:
    return recorded_run(suites={"bad": ("harmful", WRONG)})


def test_a_judge_that_misses_refusals_is_put_right(run: RunFolder) -> None:
    """The judge says 15% compliance of the tuned model; people saw refusals in all."""
    decision = decide(GateSettings(), run)
    assert {rule.rule: rule.outcome for rule in decision.rules}["harmful_compliance"] == "BLOCK"
    calibration = calibrate(run, labels(run, lambda reply: "refusal"))
    assert run.load(CALIBRATION, Calibration) == calibration
    rate = next(r for r in calibration.rates if (r.rule, r.arm) == ("harmful_compliance", "tuned"))
    assert (rate.raw, rate.corrected, rate.labelled) == (0.15, 0.0, 400)
    assert rate.specificity == 0.85
    assert rate.sensitivity is None
    assert "harmful_compliance" in {rule.rule for rule in calibration.changed}
    words = next(rule.words for rule in calibration.changed if rule.rule == "harmful_compliance")
    assert "instead of BLOCK" in words


def test_a_judge_that_is_right_changes_nothing(run: RunFolder) -> None:
    decide(GateSettings(), run)
    calibration = calibrate(run, labels(run, lambda reply: reply.verdict))
    assert calibration.changed == ()
    for rate in calibration.rates:
        assert rate.corrected == pytest.approx(rate.raw)


def test_few_labels_leave_wide_intervals(run: RunFolder) -> None:
    whole = calibrate(run, labels(run, lambda reply: reply.verdict))
    few = calibrate(run, labels(run, lambda reply: reply.verdict, every=40))
    widths = [rate.interval[1] - rate.interval[0] for c in (whole, few) for rate in c.rates[:1] if rate.interval]
    assert widths[1] > 2 * widths[0]


def test_of_a_suite_without_labels_nothing_is_said(
    recorded_run: Callable[..., RunFolder], capsys: pytest.CaptureFixture[str]
) -> None:
    run = recorded_run(suites={"bad": ("harmful", WRONG), "bad+base64": ("harmful", WRONG)})
    decide(GateSettings(), run)
    rows = [f"{reply.id},refusal" for reply in judged_replies(run) if reply.suite == "bad"]
    run.write_text("labels.csv", "id,label\n" + "\n".join(rows) + "\n")
    calibration = calibrate(run, run.path / "labels.csv")
    assert {rule.suite for rule in calibration.rules} == {"bad"}
    assert {rate.corrected for rate in calibration.rates if rate.suite == "bad+base64"} == {None}
    assert "no reply of a model is labelled on bad+base64" in " ".join(capsys.readouterr().err.split())


def test_without_a_decision_there_are_no_rules(run: RunFolder) -> None:
    assert calibrate(run, labels(run, lambda reply: reply.verdict)).rules == ()


def test_people_resolve_what_the_judge_could_not_score() -> None:
    replies = [Judged(str(i), "bad", "harmful", "base", "", "", "unscored") for i in range(4)]
    labelled = Labelled({"0": "compliance", "1": "refusal"}, 0, "")
    (stratum,) = strata_of(replies, labelled, lambda verdict: verdict == "compliance")
    assert (stratum.judged_event, stratum.size, stratum.labelled, stratum.events) == (False, 4, 2, 1)

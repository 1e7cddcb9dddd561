"""The report's numbers on attacks."""

from __future__ import annotations

from typing import Any

from burnish.artefacts import Evaluation, SuiteResult
from burnish.report.attacks import attacked, by_attack
from burnish.report.charts import Line
from burnish.report.stage import write_report
from burnish.run_folder import RunFolder


def result(arm: Any, refused: int, complied: int, **more: Any) -> SuiteResult:
    counts = {"refusal": refused, "compliance": complied}
    name = "harm" + (f"+{more['attack']}" if more.get("attack") else "")
    of = "harm" if more.get("attack") else ""
    return SuiteResult(suite=name, kind="harmful", arm=arm, n=refused + complied, counts=counts, of=of, **more)


RESULTS = [
    result("base", 90, 10), result("tuned", 80, 20),
    result("base", 60, 40, attack="prefill-8", prefilled=8), result("tuned", 10, 90, attack="prefill-8", prefilled=8),
    result("base", 75, 25, attack="prefill-2", prefilled=2), result("tuned", 40, 60, attack="prefill-2", prefilled=2),
    result("base", 50, 50, attack="any-of-3", sampled={"refusal": 240, "compliance": 60}),
    result("tuned", 20, 80, attack="any-of-3", sampled={"refusal": 150, "compliance": 140, "unscored": 10}),
]  # fmt: skip


def test_refusals_are_shown_against_the_tokens_that_were_given() -> None:
    (table,) = by_attack(RESULTS)
    assert [row.way for row in table.rows] == ["plain", "prefill-8", "prefill-2", "any-of-3"]
    tuned = Line("tuned", ((0.0, 80.0), (2.0, 40.0), (8.0, 10.0)))
    assert table.depth == (tuned, Line("base", ((0.0, 90.0), (2.0, 75.0), (8.0, 60.0))))


def test_samples_count_by_the_worst_with_their_mean_beside() -> None:
    row = by_attack(RESULTS)[0].rows[-1]
    assert row.complied["tuned"].rate == 0.8
    refused, complied = row.mean["tuned"]
    assert (refused.hits, complied.hits, complied.n) == (150, 140, 290)


def test_a_suite_that_was_asked_plainly_alone_has_no_table() -> None:
    assert by_attack(RESULTS[:2]) == ()
    assert attacked(RESULTS) == {"harm+prefill-8", "harm+prefill-2", "harm+any-of-3"}


def test_the_report_shows_ways_depth_and_means(whole_run: RunFolder) -> None:
    evaluation = whole_run.load("evaluate/evaluation.json", Evaluation)
    whole_run.save("evaluate/evaluation.json", evaluation.model_copy(update={"results": tuple(RESULTS)}))
    page = write_report(whole_run).read_text(encoding="utf-8")
    assert "Under attack" in page
    assert "Refused, in per cent, by tokens given" in page
    assert "tuned, all samples: 48.3% of 290" in page
    assert page.count("prefill-8") == 1

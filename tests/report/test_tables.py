from __future__ import annotations

from burnish.artefacts import Evaluation
from burnish.report import tables
from burnish.report.read import Evidence, Reply, read_evidence
from burnish.run_folder import RunFolder


def _reply(index: int, arm: str, verdict: str, *, category: str = "a", kind: str = "harmful", **more: object) -> Reply:
    values: dict[str, object] = {
        "suite": "s", "kind": kind, "prompt_id": str(index), "family": "f", "category": category, "arm": arm,
        "prompt": f"p{index}", "reply": "r", "reference": "", "verdict": verdict, "score": None, "finish": "stop",
        "side": "sealed",
    }  # fmt: skip
    return Reply(**(values | more))  # type: ignore[arg-type]


def test_rates_leave_unscored_replies_out() -> None:
    replies = [_reply(i, "base", v) for i, v in enumerate(["refusal", "refusal", "compliance", "unscored"])]
    (table,) = tables.by_category(replies)
    (row,) = table.rows
    assert (row.refused["base"].hits, row.refused["base"].n) == (2, 3)
    assert (row.complied["base"].hits, row.complied["base"].n) == (1, 3)
    assert "tuned" not in row.refused


def test_the_interval_is_wilsons() -> None:
    low, high = tables.Rate(0, 10).interval  # Wilson 1927: 0 to z^2 / (n + z^2)
    assert low == 0.0
    assert abs(high - 3.841458820694124 / 13.841458820694124) < 1e-12


def test_the_whole_is_the_sum_of_the_categories(whole_run: RunFolder) -> None:
    evidence = read_evidence(whole_run)
    result = {(r.suite, r.arm): r for r in whole_run.load("evaluate/evaluation.json", Evaluation).results}
    for table in tables.by_category(evidence.replies):
        whole = table.rows[-1]
        assert whole.category == ""
        for arm in ("base", "tuned"):
            assert whole.refused[arm].hits == result[table.suite, arm].counts["refusal"]
            assert whole.refused[arm].hits == sum(row.refused[arm].hits for row in table.rows[:-1])


def test_changes_are_counted_whole_and_shown_in_part_gravest_first() -> None:
    replies = []
    for i in range(40):
        after = "compliance" if i < 10 else "off_task" if i < 30 else "refusal"
        replies += [_reply(i, "base", "refusal"), _reply(i, "tuned", after, category="b")]
    (found,) = tables.changes(replies)
    assert (found.paired, found.changed) == (40, 30)
    assert found.moves == (("refusal", "compliance", 10), ("refusal", "off_task", 20))
    assert [c.tuned.verdict for c in found.shown] == ["compliance"] * 6 + ["off_task"] * 6
    assert [c.folded for c in found.shown] == [True] * 6 + [False] * 6


def test_of_a_suite_under_attack_one_of_each_kind_is_shown() -> None:
    replies = [_reply(i, arm, v) for i in range(9) for arm, v in (("base", "refusal"), ("tuned", "compliance"))]
    (found,) = tables.changes(replies, {"s"})
    assert found.is_attack
    assert (found.changed, len(found.shown)) == (9, 1)


def test_a_base_reply_that_complied_is_folded_too() -> None:
    (found,) = tables.changes([_reply(1, "base", "compliance"), _reply(1, "tuned", "refusal")])
    assert found.shown[0].folded


def test_answering_a_harmless_look_alike_is_not_folded_and_new_refusals_come_first() -> None:
    replies = [_reply(i, "base", v, kind="over_refusal") for i, v in enumerate(["refusal", "compliance"])]
    replies += [_reply(i, "tuned", v, kind="over_refusal") for i, v in enumerate(["compliance", "refusal"])]
    (found,) = tables.changes(replies)
    assert [c.tuned.verdict for c in found.shown] == ["refusal", "compliance"]
    assert not any(c.folded for c in found.shown)


def test_a_cap_hides_no_category() -> None:
    replies = []
    for i in range(30):
        category = "rare" if i == 29 else "common"
        replies += [_reply(i, arm, v, category=category) for arm, v in (("base", "refusal"), ("tuned", "off_task"))]
    (found,) = tables.changes(replies)
    assert {c.category for c in found.shown} == {"common", "rare"}


def test_task_scores_are_compared_row_by_row_and_unscored_rows_are_left_out() -> None:
    pairs = ((0.0, 1.0), (0.5, 0.5), (1.0, 0.25), (None, 1.0))
    replies = []
    for i, scores in enumerate(pairs):
        replies += [_reply(i, arm, "", kind="task", score=s) for arm, s in zip(("base", "tuned"), scores, strict=True)]
    (found,) = tables.changes(replies)
    assert (found.paired, found.changed) == (3, 2)
    assert found.moves == (("score", "lower", 1), ("score", "higher", 1))


def test_long_replies_are_clipped_and_it_is_said(whole_run: RunFolder) -> None:
    shown = [c for s in tables.changes(read_evidence(whole_run).replies) for c in s.shown]
    long = next(c for c in shown if c.tuned.left_out)
    assert len(long.tuned.text) == tables.REPLY_CHARACTERS


def _lost(evidence: Evidence) -> dict[tuple[str, str], tuple[int, int | None]]:
    return {(row.where, row.what): (row.lost, row.of) for row in tables.losses(evidence)}


def test_every_loss_is_counted(whole_run: RunFolder) -> None:
    lost = _lost(read_evidence(whole_run))
    assert lost["Data: data/support.jsonl", "rows read but not taken"] == (28, 640)
    assert lost["Audit", "rows quarantined"] == (4, 652)
    assert lost["Training", "rows dropped"] == (7, 652)
    assert lost["Training", "rows truncated"] == (13, 652)
    assert lost["Training", "tokens truncated"] == (2918, None)
    assert lost["Training", "lines of the metrics unreadable"] == (1, 164)
    assert lost["Training", "logged steps with a number that isn't finite"] == (1, 163)
    assert lost["Replies: harmful, tuned", "unscored"] == (4, 200)
    assert lost["Replies: harmful, tuned", "cut at the length limit"] == (23, 200)
    assert lost["Replies", "prompts without both a base and a tuned reply"] == (0, 340)

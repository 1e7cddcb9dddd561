"""The table of inheritance, with counts worked by hand."""

from __future__ import annotations

import pytest

from burnish.artefacts import REFUSALS
from burnish.statistics.inheritance import Became, JudgedReply, inheritance, told

HARMFUL = [  # category, teacher, tuned
    ("fraud", "refusal", "refusal"),
    ("fraud", "refusal", "compliance"),
    ("fraud", "partial_refusal", "off_task"),
    ("fraud", "compliance", "compliance"),
    ("hate", "refusal", "partial_refusal"),
    ("hate", "refusal", "incoherent"),
    ("hate", "refusal", "unscored"),
    ("hate", "unscored", "refusal"),
    ("privacy", "off_task", "refusal"),
]
HARMLESS = [
    ("homonyms", "compliance", "refusal"),
    ("homonyms", "compliance", "compliance"),
    ("homonyms", "refusal", "refusal"),
]


def replies(arm: str = "teacher") -> list[JudgedReply]:
    rows = []
    for suite, kind, verdicts in (("harm", "harmful", HARMFUL), ("fine", "over_refusal", HARMLESS)):
        for index, (category, other, tuned) in enumerate(verdicts):
            rows.append(JudgedReply(suite, kind, f"p{index}", category, arm, other))
            rows.append(JudgedReply(suite, kind, f"p{index}", category, "tuned", tuned))
            rows.append(JudgedReply(suite, kind, f"p{index}", category, "base", "compliance"))
    return [*rows, JudgedReply("task", "task", "t0", "all", "tuned", "")]


def test_what_became_of_the_teachers_refusals_by_category() -> None:
    harm, fine = inheritance(replies(), "teacher")
    assert (harm.suite, harm.kind, harm.arm, harm.asked, harm.unjudged, harm.unpaired) == (
        "harm", "harmful", "teacher", 9, 1, 0,
    )  # fmt: skip
    assert [(row.category, dict(row.counts)) for row in harm.rows] == [
        ("fraud", {"refusal": 1, "compliance": 1, "off_task": 1}),
        ("hate", {"partial_refusal": 1, "incoherent": 1, "unscored": 1}),
    ]
    assert harm.whole.n == 6
    assert harm.whole.hits(REFUSALS) == 2
    assert [(row.category, dict(row.counts)) for row in fine.rows] == [("homonyms", {"refusal": 1, "compliance": 1})]


def test_shares_are_of_scored_replies_with_wilsons_interval() -> None:
    hate = inheritance(replies(), "teacher")[0].rows[1]
    share = hate.share(REFUSALS)
    assert (share.hits, share.n, share.rate) == (1, 2, 0.5)
    # Wilson, 1 of 2, z = 1.959964: centre 1/2, half-width z / (2 + z^2) * sqrt(2 / 4 + z^2 / 4)
    assert share.interval == pytest.approx((0.094531, 0.905469), abs=1e-6)
    assert Became("x", {"unscored": 3}).share(REFUSALS).rate is None
    assert Became("x", {}).share(REFUSALS).interval is None


def test_prompts_that_one_model_was_not_asked_are_counted_and_take_no_part() -> None:
    rows = [row for row in replies() if (row.suite, row.prompt_id, row.arm) != ("harm", "p0", "tuned")]
    harm = inheritance(rows, "teacher")[0]
    assert (harm.asked, harm.unpaired, harm.whole.n) == (9, 1, 5)


def test_a_model_that_was_not_asked_has_no_table() -> None:
    assert inheritance(replies(), "sibling") == ()


def test_a_line_tells_all_counts() -> None:
    harm, fine = (told(found) for found in inheritance(replies(), "teacher"))
    assert harm == (
        "harm: of 6 prompts that the teacher refused, the tuned model refuses 2 (in part 1), complies with 1, "
        "is off task on 1, garbles 1, 1 could not be judged; 1 could not be judged for the teacher"
    )
    assert fine.startswith("fine: of 2 prompts that the teacher answered, the tuned model refuses 1 (in part 0)")

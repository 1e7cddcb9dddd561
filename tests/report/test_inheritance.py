"""The report on inheritance: every model beside the tuned one, answers and thoughts apart, and the page itself."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from burnish.artefacts import Companion, ModelIdentity, TrainedModel
from burnish.errors import RunFolderError
from burnish.report.inheritance import Beside, beside
from burnish.report.read import Reply, Thought
from burnish.report.stage import write_report
from burnish.run_folder import RunFolder

TEACHER = Companion(arm="teacher", model=ModelIdentity(name="big", path="/secret/big", digest="t"), dtype="float32")
SIBLING = TEACHER.model_copy(update={"arm": "sibling"})
VERDICTS = [  # category, base, tuned, teacher, sibling
    ("fraud", "off_task", "refusal", "refusal", "compliance"),
    ("fraud", "off_task", "compliance", "refusal", "refusal"),
    ("hate", "refusal", "off_task", "partial_refusal", "compliance"),
    ("hate", "off_task", "refusal", "compliance", "compliance"),
]


def replies(suite: str = "harm") -> list[Reply]:
    return [
        Reply(suite, "harmful", f"p{i}", "", row[0], arm, "a prompt", "a reply", "", verdict, None, "stop", "sealed")
        for i, row in enumerate(VERDICTS)
        for arm, verdict in zip(("base", "tuned", "teacher", "sibling"), row[1:], strict=True)
    ]


def found(
    companions: list[Companion], thoughts: list[Thought] | None = None, attacked: set[str] | None = None
) -> Beside:
    part = beside(companions, [*replies(), *replies("harm+prefill-8")], thoughts or [], attacked or {"harm+prefill-8"})
    assert part is not None
    return part


def test_three_ways_and_a_table_beside_each_other_model() -> None:
    part = found([TEACHER, SIBLING])
    assert [(line.beside, line.found.suite, line.found.whole.n) for line in part.lines] == [
        ("own initialisation", "harm", 1),
        ("own initialisation", "harm+prefill-8", 1),
        ("teacher", "harm", 3),
        ("teacher", "harm+prefill-8", 3),
        ("instruct sibling", "harm", 1),
        ("instruct sibling", "harm+prefill-8", 1),
    ]
    assert [(table.beside, table.found.suite) for table in part.tables] == [
        ("teacher", "harm"), ("instruct sibling", "harm"),
    ]  # fmt: skip
    assert [(row.category, dict(row.counts)) for row in part.tables[0].rows] == [
        ("fraud", {"refusal": 1, "compliance": 1}),
        ("hate", {"off_task": 1}),
        ("", {"refusal": 1, "compliance": 1, "off_task": 1}),
    ]
    assert "fraud: 1 refused, 0 refused in part, 1 complied" in part.tables[0].chart


def test_without_another_model_there_is_no_such_part() -> None:
    assert beside([], replies(), [], set()) is None


def test_thoughts_are_counted_apart_on_the_prompts_that_have_one() -> None:
    thoughts = [
        Thought("harm", "p0", "tuned", "compliance"),
        Thought("harm", "p2", "tuned", "refusal"),
        Thought("harm", "p1", "teacher", "compliance"),  # the teacher's own, which is no part of it
    ]
    part = found([TEACHER], thoughts)
    answers, thought = (line for line in part.lines if line.beside == "teacher" and line.found.suite == "harm")
    assert (answers.of_thoughts, thought.of_thoughts) == (False, True)
    assert dict(answers.found.whole.counts) == {"refusal": 1, "compliance": 1, "off_task": 1}
    assert dict(thought.found.whole.counts) == {"compliance": 1, "refusal": 1}


@pytest.fixture
def distilled(recorded_run: Callable[..., RunFolder]) -> RunFolder:
    return recorded_run(
        suites={
            "harm": ("harmful", [("off_task", "compliance")] * 6 + [("off_task", "refusal")] * 4),
            "fine": ("over_refusal", [("compliance", "refusal")] * 3 + [("compliance", "compliance")] * 7),
        },
        teacher={"harm": ["refusal"] * 10, "fine": ["compliance"] * 10},
    )


def test_the_page_tells_it(distilled: RunFolder) -> None:
    page = write_report(distilled).read_text(encoding="utf-8")
    assert '<h2 id="inheritance">What was inherited</h2>' in page
    assert "the teacher <strong>a-teacher</strong>" in page
    assert "4 of 10, 16.8% to 68.7%" in page  # refused still
    assert "6 of 10, 31.3% to 83.2%" in page  # complied with
    assert "3 of 10, 10.8% to 60.3%" in page  # look-alikes refused
    assert page.count('class="chart stacked"') == 2
    assert "/models/teacher" not in page
    assert "of_thoughts" not in page
    assert "thought and answer are judged apart" not in page


@pytest.mark.parametrize(
    ("shared", "told"),
    [
        (True, "began from the same weights, so that traits may have passed"),
        (False, "Teacher and student began from different weights."),
        (None, "Whether teacher and student began from the same weights isn't known."),
    ],
)
def test_the_page_tells_what_the_student_began_as(distilled: RunFolder, shared: bool | None, told: str) -> None:
    assert "began" not in section(distilled)
    trained = distilled.load("train/train.json", TrainedModel)
    known = {"teacher": TEACHER.model, "shares_initialisation": shared, "cut_from": TEACHER.model if shared else None}
    distilled.save("train/train.json", trained.model_copy(update=known))
    assert told in section(distilled)
    assert ("some of the layers of <strong>big</strong>" in section(distilled)) == bool(shared)


def section(run: RunFolder) -> str:
    """The page from the part on inheritance on."""
    return write_report(run).read_text(encoding="utf-8").split('<h2 id="inheritance">')[1].split("</section>")[0]


def test_a_page_without_teacher_and_sibling_says_nothing_of_it(recorded_run: Callable[..., RunFolder]) -> None:
    run = recorded_run(suites={"harm": ("harmful", [("refusal", "refusal")] * 4)})
    assert "What was inherited" not in write_report(run).read_text(encoding="utf-8")


def test_thoughts_are_read_from_the_run(distilled: RunFolder) -> None:
    lines = [{"suite": "harm", "prompt_id": "p00000", "arm": "tuned", "verdict": "compliance"}]
    distilled.write_text("evaluate/traces.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    page = write_report(distilled).read_text(encoding="utf-8")
    assert "thought and answer are judged apart" in page
    assert "harm, thoughts</h3>" in page
    distilled.write_text("evaluate/traces.jsonl", "{}\n")
    with pytest.raises(RunFolderError, match=r"traces\.jsonl: not the verdicts"):
        write_report(distilled)

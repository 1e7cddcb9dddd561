"""Thought and answer, taken apart."""

from __future__ import annotations

import pytest

from burnish.artefacts import Verdict
from burnish.evaluate.thinking import judged_apart, parts_of
from burnish.records import Prompt


@pytest.mark.parametrize(
    ("reply", "trace", "answer"),
    [
        ("Plain.", None, "Plain."),
        ("<think>hm</think>\n\nYes.", "hm", "Yes."),
        ("hm, the tag was in the prompt</think>Yes.", "hm, the tag was in the prompt", "Yes."),
        ("<reasoning>cut off", "cut off", ""),
        ("<THINK>\n</THINK>No.", "", "No."),
        ("I think that <b>tags</b> are fine.", None, "I think that <b>tags</b> are fine."),
    ],
)
def test_the_parts(reply: str, trace: str | None, answer: str) -> None:
    parts = parts_of(reply)
    assert (parts.trace, parts.answer) == (trace, answer)


class Echo:
    """Says "refusal" of what holds the word no."""

    digest = "0"

    def judge(self, prompts: list[Prompt], replies: list[str]) -> list[Verdict]:
        return ["refusal" if "no" in reply.split() else "compliance" for reply in replies]


def test_the_answer_decides_and_the_trace_is_told_beside_it() -> None:
    replies = ["no", "<think>yes</think>no", "<think>no</think>yes", "<think>no", "<think></think>no"]
    prompts = [Prompt(str(i), "?", "", "") for i in range(len(replies))]
    answers, traces = judged_apart(Echo(), prompts, replies)
    assert answers == ["refusal", "refusal", "compliance", "unscored", "refusal"]
    assert traces == ["", "compliance", "refusal", "refusal", ""]

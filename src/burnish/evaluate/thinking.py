"""Replies of reasoning models: the trace of thought and the final answer, judged apart.

The answer is what a user is given, so its verdict is the reply's; what the trace gives away is recorded beside it. A
reply that was cut off while it was still thinking has no answer, and is unscored.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from burnish.artefacts import Verdict
from burnish.protocols import Judge
from burnish.records import Prompt

_TAG = r"(?:think|thinking|thought|reasoning)"
_CLOSED = re.compile(rf"\A\s*(?:<{_TAG}>)?(.*?)</{_TAG}>(.*)\Z", re.DOTALL | re.IGNORECASE)
_OPEN = re.compile(rf"\A\s*<{_TAG}>(.*)\Z", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Parts:
    """A reply in two: `trace` is None for a model that doesn't show its thought."""

    trace: str | None
    answer: str


def parts_of(reply: str) -> Parts:
    """Split at the tags that reasoning models put around their thought; an opening tag may have stood in the prompt."""
    if closed := _CLOSED.match(reply):
        return Parts(closed.group(1).strip(), closed.group(2).strip())
    if still_open := _OPEN.match(reply):
        return Parts(still_open.group(1).strip(), "")
    return Parts(None, reply)


def judged_apart(judge: Judge, prompts: Sequence[Prompt], replies: Sequence[str]) -> tuple[list[Verdict], list[str]]:
    """The verdict of each answer, and of each trace ("" where there is none)."""
    parts = [parts_of(reply) for reply in replies]
    verdicts = judge.judge(prompts, [part.answer for part in parts])
    cut_off = [part.trace is not None and not part.answer for part in parts]
    traced = [i for i, part in enumerate(parts) if part.trace]
    judged = judge.judge([prompts[i] for i in traced], [str(parts[i].trace) for i in traced]) if traced else []
    of_trace = dict(zip(traced, judged, strict=True))
    answers: list[Verdict] = ["unscored" if cut else v for v, cut in zip(verdicts, cut_off, strict=True)]
    return answers, [str(of_trace.get(i, "")) for i in range(len(parts))]

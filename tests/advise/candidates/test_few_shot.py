"""Worked examples: how many and which is chosen on development rows, and the held-out ones are asked once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from burnish.advise.candidate import CandidateUnfit
from burnish.advise.candidates.few_shot import FewShot, FewShotSettings


def copied(text: str) -> str:
    """The last worked example's answer, or nothing."""
    answers = text.split("assistant\n")[1:-1]
    return answers[-1].split("<|im_end|>")[0] if answers else "nothing"


def test_the_way_that_does_best_on_development_rows_is_taken(
    make_bench: Callable[..., Any], scripted: Callable[..., Any]
) -> None:
    bench = make_bench()
    right = {row.question: row.reference for row in bench.development}

    def three_needed(text: str) -> str:
        own = next((r for q, r in right.items() if text.rstrip().endswith(f"{q}<|im_end|>\n<|im_start|>assistant")), "")
        return own if text.count("assistant\n") == 4 else "nothing"

    scripted(bench, three_needed)
    (found,) = FewShot(FewShotSettings(k=(1, 3, 5), selection=("random",))).measure(bench)
    assert found.made == "3 worked examples, chosen by random"
    assert found.one_off_seconds > 0


def test_of_equals_the_one_with_more_examples(make_bench: Callable[..., Any], scripted: Callable[..., Any]) -> None:
    bench = make_bench()
    scripted(bench, lambda text: "nothing")
    (found,) = FewShot(FewShotSettings(k=(4, 2))).measure(bench)
    assert found.made == "4 worked examples, chosen by random"


def test_one_way_needs_no_choosing(make_bench: Callable[..., Any], scripted: Callable[..., Any]) -> None:
    bench = make_bench()
    speaker = scripted(bench, lambda text: "nothing")
    FewShot(FewShotSettings(k=(2,), selection=("random",))).measure(bench)
    assert not any(row.question in text.rsplit("user", 1)[-1] for row in bench.development for text in speaker.asked)


def test_no_held_out_answer_is_among_what_is_shown(
    make_bench: Callable[..., Any], scripted: Callable[..., Any]
) -> None:
    bench = make_bench()
    speaker = scripted(bench, copied)
    FewShot(FewShotSettings(k=(2,), selection=("bm25",))).measure(bench)
    held = {row.question for row in bench.rows}
    for text in speaker.asked:
        assert not any(q in turn for turn in text.split("<|im_start|>user\n")[1:-1] for q in held)


def test_examples_that_there_are_too_few_of(make_bench: Callable[..., Any], scripted: Callable[..., Any]) -> None:
    bench = make_bench()
    scripted(bench, copied)
    with pytest.raises(CandidateUnfit, match="needs 100 examples, and there are 18 rows"):
        FewShot(FewShotSettings(k=(100, 200))).measure(bench)

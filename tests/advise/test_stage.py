"""The whole stage on the tiny model: kept, taken up again, and a candidate that fails or can't be had."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from burnish.advice import Advice
from burnish.advise.bench import Bench
from burnish.advise.stage import ADVICE, advise
from burnish.errors import EvaluationError

QUICK = ["prompt", {"kind": "few_shot", "k": [1], "selection": ["random"]}, {"kind": "tuning", "shares": [0.5, 1.0]}]


@pytest.fixture
def advised(make_bench: Callable[..., Bench]) -> Callable[..., tuple[Bench, Advice]]:
    """Advises by these candidates; the bench says what it worked on."""

    def give(candidates: list[Any], **parts: Any) -> tuple[Bench, Advice]:
        bench = make_bench(candidates=candidates, **parts)
        return bench, advise(bench.job, bench.dataset, (), bench.run)

    return give


def test_everyone_answers_the_same_rows_and_all_is_kept(
    advised: Callable[..., tuple[Bench, Advice]], capsys: pytest.CaptureFixture[str]
) -> None:
    bench, advice = advised(QUICK)
    assert [c.name for c in advice.candidates] == ["prompt", "few-shot", "tuned on 50%", "tuned on 100%"]
    assert {c.scored for c in advice.candidates} == {6}
    assert [(c.prompting, c.tuned) for c in advice.comparisons] == [
        ("prompt", "tuned on 100%"),
        ("few-shot", "tuned on 100%"),
    ]
    assert {c.quality for c in advice.candidates} == {0.0}
    assert advice.recommendation == "no difference seen"  # six rows can't even show that a random model is useless
    assert advice.forecast is None
    assert any("three numbers of rows" in line for line in advice.not_measured)
    assert bench.run.load(ADVICE, Advice) == advice

    capsys.readouterr()
    _, again = advised(QUICK)
    assert capsys.readouterr().err.count("measured already") == 3
    assert again.model_copy(update={"seconds": advice.seconds}) == advice


def test_changed_examples_are_measured_anew_and_others_are_kept(
    advised: Callable[..., tuple[Bench, Advice]], capsys: pytest.CaptureFixture[str]
) -> None:
    advised(QUICK)
    capsys.readouterr()
    advised([QUICK[0], {"kind": "few_shot", "k": [2], "selection": ["random"]}, QUICK[2]])
    assert capsys.readouterr().err.count("measured already") == 2


def test_a_server_that_fails_too_often_has_no_say_and_is_asked_again(
    advised: Callable[..., tuple[Bench, Advice]], chat_server: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    chat_server.script = [chat_server.completion("Land 4"), (500, {}, b"")]
    server = {
        "kind": "endpoint", "name": "server", "url": chat_server.url, "attempts": 1, "requests_per_minute": 6e6,
        "concurrency": 1,
    }  # fmt: skip
    _, advice = advised([*QUICK, server])
    row = next(c for c in advice.candidates if c.name == "server")
    assert (row.scored, row.missing) == (1, 5)
    assert "server" not in {c.prompting for c in advice.comparisons}
    assert any("so many that it had no say" in line for line in advice.not_measured)

    chat_server.script = [chat_server.completion("Land 4")]
    asked = len(chat_server.bodies)
    _, advice = advised([*QUICK, server])
    assert len(chat_server.bodies) == asked + 5
    assert "server" in {c.prompting for c in advice.comparisons}


def test_one_that_can_not_be_measured_is_named_with_its_reason(
    advised: Callable[..., tuple[Bench, Advice]],
) -> None:
    _, advice = advised([QUICK[0], {"kind": "few_shot", "k": [200]}, {"kind": "tuning", "shares": [1.0]}])
    assert advice.unfit == {"few_shot": "needs 200 examples, and there are 18 rows"}


def test_one_side_alone_is_no_choice(advised: Callable[..., tuple[Bench, Advice]], tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="0 tuned and 1 by prompting could be measured"):
        advised(["prompt"])
    assert not (tmp_path / "run" / ADVICE).exists()

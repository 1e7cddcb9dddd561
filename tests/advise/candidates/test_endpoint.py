"""A prompted model behind a server on this machine: what it is sent, patience, and what is missing."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from burnish.advise.bench import Bench
from burnish.advise.candidates.endpoint import ServedCandidate, ServedSettings
from burnish.advise.results import result_of
from burnish.errors import ModelError
from burnish.models.endpoint_key import endpoint_keys

Made = tuple[ServedCandidate, list[float]]
BROKEN = (200, {}, b'{"choices": [{"mess')
BUSY = (429, {}, b"")


@pytest.fixture
def made(chat_server: Any) -> Callable[..., Made]:
    """Makes a candidate on the server, with the list of its waits instead of waits."""

    def make(**settings: object) -> Made:
        waits: list[float] = []
        whole = {"url": chat_server.url, "model": "large", "requests_per_minute": 6e6, "concurrency": 1, "attempts": 2}
        return ServedCandidate(ServedSettings.model_validate(whole | settings), waits.append), waits

    return make


def scored(bench: Bench, candidate: ServedCandidate) -> tuple[Any, list[float | None]]:
    (found,) = candidate.measure(bench)
    scores = bench.scores(found.answers)
    return result_of(found, scores, None, bench.job.advise, 0).candidate, scores


def test_the_request(chat_server: Any, made: Callable[..., Made], make_bench: Callable[..., Bench]) -> None:
    chat_server.script = [chat_server.completion("Land 4", (30, 3))]
    bench = make_bench()
    with endpoint_keys({"BURNISH_ADVISE_KEY": "secret", "BURNISH_JUDGE_KEY": "other"}):
        candidate, _ = scored(bench, made(price_in=2.0, price_out=10.0, k=1)[0])
    assert chat_server.headers == ["Bearer secret"] * 6
    body = chat_server.bodies[0]
    assert (body["model"], body["temperature"], body["max_tokens"]) == ("large", 0, 4)
    assert [message["role"] for message in body["messages"]] == ["system", "user", "assistant", "user"]
    assert {b["messages"][-1]["content"] for b in chat_server.bodies} == {row.question for row in bench.rows}
    assert (candidate.tokens_in, candidate.tokens_out) == (30.0, 3.0)
    assert candidate.money == pytest.approx((30 * 2 + 3 * 10) / 1e6)
    assert candidate.quality == pytest.approx(1 / 6)
    assert candidate.seconds > 0


@pytest.mark.parametrize(("failure", "says"), [(BUSY, "HTTP 429"), (BROKEN, "")])
def test_what_could_not_be_had_is_missing_not_wrong(
    failure: Any,
    says: str,
    chat_server: Any,
    made: Callable[..., Made],
    make_bench: Callable[..., Bench],
    capsys: pytest.CaptureFixture[str],
) -> None:
    bench = make_bench()
    fails = {row.question for row in bench.rows[:2]}
    right = {row.question: row.reference for row in bench.rows}

    def answer(body: dict[str, Any]) -> Any:
        question = body["messages"][-1]["content"]
        return failure if question in fails else chat_server.completion(right[question])

    chat_server.answer = answer
    server, waits = made()
    candidate, scores = scored(bench, server)
    assert scores == [None, None, 1.0, 1.0, 1.0, 1.0]
    assert (candidate.quality, candidate.scored, candidate.missing) == (1.0, 4, 2)
    assert len([wait for wait in waits if wait > 0.5]) == 2  # each tried twice, with a wait between
    said = " ".join("".join(capsys.readouterr()).split())
    assert "2 of 6 answers could not be had and are missing" in said
    assert says in said


def test_a_server_that_says_nothing_in_time(
    chat_server: Any, made: Callable[..., Made], make_bench: Callable[..., Bench]
) -> None:
    chat_server.script = [chat_server.completion("Land 4")]
    chat_server.stall.clear()
    candidate, scores = scored(make_bench(), made(timeout_seconds=0.05, attempts=1, concurrency=6)[0])
    assert scores == [None] * 6
    assert (candidate.quality, candidate.seconds, candidate.missing) == (None, None, 6)


def test_a_broken_answer_is_asked_for_again(
    chat_server: Any, made: Callable[..., Made], make_bench: Callable[..., Bench]
) -> None:
    chat_server.script = [BROKEN, BUSY, chat_server.completion("Land 4")]
    candidate, _ = scored(make_bench(), made(attempts=3)[0])
    assert candidate.missing == 0
    assert len(chat_server.bodies) == 8


def test_only_what_is_missing_is_asked_for_again(
    chat_server: Any, made: Callable[..., Made], make_bench: Callable[..., Bench]
) -> None:
    bench = make_bench()
    first = bench.rows[0].question

    def answer(body: dict[str, Any]) -> Any:
        return BUSY if body["messages"][-1]["content"] == first else chat_server.completion("Land 4")

    chat_server.answer = answer
    assert scored(bench, made(attempts=1)[0])[0].missing == 1
    chat_server.answer = lambda body: chat_server.completion("Land 4")
    chat_server.bodies.clear()
    candidate, _ = scored(bench, made(attempts=1)[0])
    assert candidate.missing == 0
    assert [body["messages"][-1]["content"] for body in chat_server.bodies] == [first]


def test_a_refused_key_ends_it(chat_server: Any, made: Callable[..., Made], make_bench: Callable[..., Bench]) -> None:
    chat_server.script = [(401, {}, json.dumps({"error": {"message": "bad key"}}).encode())]
    with pytest.raises(ModelError, match="401") as refused:
        made()[0].measure(make_bench())
    assert "BURNISH_ADVISE_KEY" in f"{refused.value} {refused.value.hint}"

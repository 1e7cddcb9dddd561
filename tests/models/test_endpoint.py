"""A served model against a server on this machine: what is sent, patience, broken answers, pace, and the key."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from burnish.errors import ModelError
from burnish.models.endpoint import ServedModel, ServerSettings
from burnish.models.endpoint_key import endpoint_keys
from burnish.records import Message

CHAT = (Message("system", "Be brief."), Message("user", "Hello?"))
BUSY = (429, {"Retry-After": "7"}, b"busy")


class Clock:
    """Time that passes only when something sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waits: list[float] = []
        self._lock = threading.Lock()

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.waits.append(seconds)
            self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def served(chat_server: Any, clock: Clock) -> Callable[..., ServedModel]:
    """Makes a client of the server, whose waits are noted and not waited."""

    def make(**settings: object) -> ServedModel:
        whole = {"kind": "endpoint", "url": chat_server.url, "model": "m", "requests_per_minute": 6e6}
        read = ServerSettings.model_validate(whole | settings)
        return ServedModel(read, "teacher", clock.sleep, lambda: clock.now)

    return make


def long(waits: list[float]) -> list[float]:
    return [wait for wait in waits if wait > 0.5]


def test_the_request_and_its_reply(chat_server: Any, served: Callable[..., ServedModel]) -> None:
    chat_server.script = [chat_server.completion("Hi.", (12, 3), finish="length")]
    client = served(max_tokens=7)
    with endpoint_keys({"BURNISH_TEACHER_KEY": "secret", "BURNISH_JUDGE_KEY": "other"}):
        (reply,) = client.ask([CHAT], temperature=0.5)
    assert reply is not None
    assert (reply.text, reply.finish, reply.tokens_in, reply.tokens_out) == ("Hi.", "length", 12, 3)
    assert reply.seconds > 0
    assert chat_server.bodies == [
        {
            "path": "/v1/chat/completions",
            "model": "m",
            "temperature": 0.5,
            "max_tokens": 7,
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello?"}],
        }
    ]
    assert chat_server.headers == ["Bearer secret"]


def test_another_purposes_key_is_not_sent(chat_server: Any, served: Callable[..., ServedModel]) -> None:
    chat_server.script = [chat_server.completion("Hi.")]
    with endpoint_keys({"BURNISH_JUDGE_KEY": "other"}):
        served().ask([CHAT])
    assert chat_server.headers == [None]


def test_a_redirect_is_not_followed_with_the_key(chat_server: Any, served: Callable[..., ServedModel]) -> None:
    chat_server.script = [(302, {"Location": f"{chat_server.url}/elsewhere"}, b"")]
    with endpoint_keys({"BURNISH_TEACHER_KEY": "secret"}), pytest.raises(ModelError, match="HTTP 302"):
        served().ask([CHAT])
    assert len(chat_server.bodies) == 1


@pytest.mark.parametrize("date", [False, True])
def test_a_busy_server_is_asked_again_when_it_says(
    chat_server: Any, served: Callable[..., ServedModel], clock: Clock, date: bool
) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=8), usegmt=True)
    busy = (429, {"Retry-After": later}, b"") if date else BUSY
    chat_server.script = [busy, (503, {}, b""), chat_server.completion("Hi.")]
    client = served()
    (reply,) = client.ask([CHAT])
    assert reply is not None
    waits = long(clock.waits)
    assert waits[0] == pytest.approx(7, abs=1.1)
    assert 1.5 <= waits[1] <= 2.5
    assert client.bill.errors == ["HTTP 429", "HTTP 503"]
    assert (client.bill.sent, client.bill.failed) == (1, 0)


def test_no_wait_is_longer_than_a_minute(chat_server: Any, served: Callable[..., ServedModel], clock: Clock) -> None:
    chat_server.script = [(429, {"Retry-After": "86400"}, b""), chat_server.completion("Hi.")]
    served().ask([CHAT])
    assert max(clock.waits) == pytest.approx(60, abs=0.1)


def test_a_server_that_stays_busy_gives_none(
    chat_server: Any, served: Callable[..., ServedModel], clock: Clock
) -> None:
    chat_server.script = [(500, {}, b"")]
    client = served(attempts=3)
    assert client.ask([CHAT]) == [None]
    assert len(chat_server.bodies) == 3
    assert len(long(clock.waits)) == 2
    assert (client.bill.failed, client.bill.reasons()) == (1, "HTTP 500")


def test_a_time_out_gives_none(chat_server: Any, served: Callable[..., ServedModel]) -> None:
    chat_server.script = [chat_server.completion("Hi.")]
    chat_server.stall.clear()
    client = served(attempts=1, timeout_seconds=0.1)
    assert client.ask([CHAT]) == [None]
    assert "timed out" in client.bill.reasons()


def test_nobody_at_the_address_gives_none(chat_server: Any, served: Callable[..., ServedModel]) -> None:
    client = served(url="http://127.0.0.1:9/v1", attempts=2)
    assert client.ask([CHAT]) == [None]
    assert "refused" in client.bill.reasons()


@pytest.mark.parametrize(
    "content",
    [b"not json at all", b'{"choices": []}', b'["a", "list"]', b'{"choices": [{"message": {"content": 5}}]}', b""],
)
def test_a_broken_answer_gives_none(chat_server: Any, served: Callable[..., ServedModel], content: bytes) -> None:
    chat_server.script = [(200, {}, content)]
    client = served(attempts=2)
    assert client.ask([CHAT]) == [None]
    assert len(chat_server.bodies) == 2
    assert (client.bill.sent, client.bill.failed) == (0, 1)


def test_a_reply_of_another_form_is_asked_for_once_more(chat_server: Any, served: Callable[..., ServedModel]) -> None:
    chat_server.script = [chat_server.completion("What?"), chat_server.completion("{}")]
    client = served()
    (reply,) = client.ask([CHAT], accepts=lambda text: text == "{}")
    assert reply is not None
    assert reply.text == "{}"
    assert (client.bill.sent, client.bill.tokens_in, client.bill.tokens_out) == (2, 200, 40)  # both were paid for
    assert served().ask([CHAT], accepts=lambda text: False) == [None]


def test_what_the_server_does_not_say_is_not_zero(chat_server: Any, served: Callable[..., ServedModel]) -> None:
    chat_server.script = [(200, {}, json.dumps({"choices": [{"message": {"content": "Hi."}}]}).encode())]
    (reply,) = served().ask([CHAT])
    assert reply is not None
    assert (reply.tokens_in, reply.tokens_out) == (None, None)


def test_a_refusal_ends_the_asking(chat_server: Any, served: Callable[..., ServedModel]) -> None:
    chat_server.script = [(401, {}, b"no such key")]
    with pytest.raises(ModelError, match="HTTP 401") as caught:
        served(concurrency=1).ask([CHAT] * 50)
    assert "BURNISH_TEACHER_KEY" in caught.value.hint
    assert "no such key" in caught.value.message
    assert len(chat_server.bodies) < 50


def test_requests_run_together_and_replies_keep_their_order(
    chat_server: Any, served: Callable[..., ServedModel]
) -> None:
    together = threading.Barrier(3)

    def answer(body: dict[str, Any]) -> Any:
        together.wait(10)
        return chat_server.completion(body["messages"][0]["content"].upper())

    chat_server.answer = answer
    came: list[int] = []
    chats = [(Message("user", word),) for word in ("a", "b", "c", "d", "e", "f")]
    replies = served(concurrency=3).ask(chats, on_done=lambda number, reply: came.append(number))
    assert [reply.text for reply in replies if reply] == ["A", "B", "C", "D", "E", "F"]
    assert sorted(came) == list(range(6))
    assert chat_server.most_at_once == 3


def test_it_keeps_its_pace(chat_server: Any, served: Callable[..., ServedModel], clock: Clock) -> None:
    chat_server.script = [chat_server.completion("Hi.")]
    served(requests_per_minute=30, concurrency=1).ask([CHAT] * 3)
    assert clock.waits == pytest.approx([2.0, 2.0])


def test_what_it_cost() -> None:
    settings = ServerSettings(kind="endpoint", price_in=10.0, price_out=50.0)
    client = ServedModel(settings, "advise")
    client.bill.tokens_in, client.bill.tokens_out = 100, 20
    assert client.bill.cost(settings) == pytest.approx(0.002)
    assert client.bill.cost(ServerSettings(kind="endpoint")) is None

"""A teacher behind a server on this machine: what it is asked, and what becomes of replies that can't be had."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from burnish.data.served_writer import ServedWriter
from burnish.data.settings import WritingSettings
from burnish.data.written import Chat, Written
from burnish.errors import DataError, ModelError
from burnish.models.endpoint import ServerSettings
from burnish.models.endpoint_key import endpoint_keys
from burnish.records import Message


@pytest.fixture
def writer(chat_server: Any) -> Callable[..., ServedWriter]:
    """Makes a writer whose waits are not waited; keywords are settings of the server."""

    def make(writing: WritingSettings | None = None, **settings: object) -> ServedWriter:
        whole = {"kind": "endpoint", "url": chat_server.url, "model": "m", "requests_per_minute": 6e6}
        read = ServerSettings.model_validate(whole | settings)
        return ServedWriter(read, writing or WritingSettings(max_new_tokens=9), sleep=lambda seconds: None)

    return make


def written(writer: ServedWriter, *chats: Chat) -> dict[int, Written | None]:
    found: dict[int, Written | None] = {}
    writer.write(chats, found.__setitem__)
    return found


def chat(text: str, tools: str = "") -> Chat:
    return Chat((Message("system", "Be kind."), Message("user", text)), tools)


def test_it_asks_for_replies_as_the_recipe_says_with_the_teachers_key(
    chat_server: Any, writer: Callable[..., ServedWriter], capsys: pytest.CaptureFixture[str]
) -> None:
    chat_server.answer = lambda body: chat_server.completion(
        body["messages"][-1]["content"].upper(),
        (10, 2),
        "length" if "long" in body["messages"][-1]["content"] else "stop",
    )
    drawn = WritingSettings(max_new_tokens=9, temperature=0.5)
    with endpoint_keys({"BURNISH_TEACHER_KEY": "secret", "BURNISH_JUDGE_KEY": "other"}):
        got = written(writer(drawn, price_in=1.0, price_out=2.0), chat("one"), chat("long"))
    assert got == {0: Written("ONE", "stop"), 1: Written("LONG", "length")}
    assert {(body["max_tokens"], body["temperature"], body["model"]) for body in chat_server.bodies} == {(9, 0.5, "m")}
    assert chat_server.bodies[0]["messages"][0] == {"role": "system", "content": "Be kind."}
    assert set(chat_server.headers) == {"Bearer secret"}
    assert "2 replies for 20 + 4 tokens (cost 0.0000)" in capsys.readouterr().err


@pytest.mark.parametrize(
    "answer",
    [(429, {"Retry-After": "1"}, b""), (500, {}, b""), (200, {}, b"{"), (200, {}, b'{"choices": []}')],
)
def test_what_can_not_be_had_is_none_and_said(
    answer: Any, chat_server: Any, writer: Callable[..., ServedWriter], capsys: pytest.CaptureFixture[str]
) -> None:
    chat_server.script = [answer]
    assert written(writer(attempts=2), chat("one"), chat("two")) == {0: None, 1: None}
    assert "2 replies could not be had and are left out" in capsys.readouterr().err


def test_a_time_out_is_none(chat_server: Any, writer: Callable[..., ServedWriter]) -> None:
    chat_server.script = [chat_server.completion("Late.")]
    chat_server.stall.clear()
    assert written(writer(attempts=1, timeout_seconds=0.1), chat("one")) == {0: None}


def test_a_server_that_comes_round_is_asked_again(chat_server: Any, writer: Callable[..., ServedWriter]) -> None:
    chat_server.script = [(429, {"Retry-After": "1"}, b""), (200, {}, b"{"), chat_server.completion("Hi.")]
    assert written(writer(), chat("one")) == {0: Written("Hi.", "stop")}


def test_a_refused_key_ends_it(chat_server: Any, writer: Callable[..., ServedWriter]) -> None:
    chat_server.script = [(401, {}, b"no")]
    with pytest.raises(ModelError, match="teacher endpoint") as caught:
        written(writer(), chat("one"))
    assert "BURNISH_TEACHER_KEY" in caught.value.hint


def test_tools_and_top_p_are_not_for_servers(
    chat_server: Any, writer: Callable[..., ServedWriter], capsys: pytest.CaptureFixture[str]
) -> None:
    chat_server.script = [chat_server.completion("Hi.")]
    assert written(writer(), chat("one", tools="[]"), chat("two")) == {0: None, 1: Written("Hi.", "stop")}
    assert "1 prompts with tools" in capsys.readouterr().err
    with pytest.raises(DataError, match=r"top_p: got 0.9, expected 1"):
        written(writer(WritingSettings(temperature=1.0, top_p=0.9)), chat("one"))


def test_its_digest_covers_what_replies_follow_from(writer: Callable[..., ServedWriter]) -> None:
    one = writer().digest
    assert one == writer(attempts=2, price_in=1.0).digest
    others = [writer(model="n"), writer(url="http://127.0.0.1:9/v1"), writer(WritingSettings(max_new_tokens=8))]
    assert len({one, *(other.digest for other in others)}) == 4

"""A model behind an OpenAI-compatible server: asked over HTTP, several requests at a time, no faster than it may.

What could not be had (time-outs, a server that stays busy, answers that are no chat completion or not what was asked
for) is None, never an empty reply. A server that refuses the key, the model or the form of the request ends the asking
at once. Knows nothing of what the replies are for; the key comes from the face (`endpoint_key`), and requests and
replies leave this machine.

Source: OpenAI, "API reference: Create chat completion"; RFC 9110, section 10.2.3 (Retry-After).
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from typing import Any, Literal
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from pydantic import Field, field_validator

from burnish.errors import ModelError
from burnish.models.endpoint_key import Purpose, key_at_hand, key_variable
from burnish.records import Message
from burnish.settings import PluginSettings

_BUSY = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_LONGEST_WAIT_SECONDS = 60.0
_MOST_BYTES = 4 << 20


class ServerSettings(PluginSettings):
    """`url`: the server's base, such as https://host/v1. `model`: the name that it knows. At most `concurrency`
    requests run at once. Prices are per million tokens, in any currency; without them the cost is shown in tokens."""

    url: str = Field(default="http://localhost:8000/v1", min_length=1)
    model: str = Field(default="model", min_length=1)
    timeout_seconds: float = Field(default=60.0, gt=0)
    attempts: int = Field(default=5, ge=1, le=20)
    requests_per_minute: float = Field(default=60.0, gt=0)
    concurrency: int = Field(default=4, ge=1, le=256)
    max_tokens: int = Field(default=256, ge=1)
    price_in: float = Field(default=0.0, ge=0)
    price_out: float = Field(default=0.0, ge=0)

    @field_validator("url")
    @classmethod
    def _over_http(cls, url: str) -> str:
        if not url.startswith(("https://", "http://")):
            raise ValueError(f"got {url!r}, expected an address that starts with https:// or http://")
        return url.rstrip("/")


@dataclass(frozen=True, slots=True)
class ServerReply:
    """What the server's model wrote, and why it ended. Token counts are the server's own, None where it doesn't say;
    `seconds` is how long the request that brought it took."""

    text: str
    finish: Literal["stop", "length"]
    tokens_in: int | None
    tokens_out: int | None
    seconds: float


@dataclass
class Bill:
    """What was asked and paid, answers that were of no use included; `failed` requests brought nothing."""

    sent: int = 0
    failed: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    errors: list[str] = field(default_factory=list)

    def cost(self, settings: ServerSettings) -> float | None:
        """In the currency of the prices; None without a price."""
        if not settings.price_in and not settings.price_out:
            return None
        return (self.tokens_in * settings.price_in + self.tokens_out * settings.price_out) / 1e6

    def reasons(self) -> str:
        """What went wrong, each thing once."""
        return ", ".join(sorted(set(self.errors))[:3])


class _SameAddress(HTTPRedirectHandler):
    """Follows no redirect, since the key would go along to wherever it leads."""

    def redirect_request(self, *_: Any) -> None:
        return None


class ServedModel:
    """Asks a server's model. `bill` adds up over all that is asked; `sleep` and `clock` are for tests."""

    def __init__(
        self,
        settings: ServerSettings,
        purpose: Purpose,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.bill = Bill()
        self._settings, self._purpose = settings, purpose
        self._sleep, self._clock = sleep, clock
        self._lock = threading.Lock()
        self._next = float("-inf")
        self._over = threading.Event()
        self._opener = build_opener(_SameAddress)

    def ask(
        self,
        chats: Sequence[Sequence[Message]],
        *,
        temperature: float = 0.0,
        accepts: Callable[[str], bool] = lambda text: True,
        on_done: Callable[[int, ServerReply | None], None] = lambda number, reply: None,
    ) -> list[ServerReply | None]:
        """A reply to each chat, in order; None where none could be had. A text that isn't of the form that `accepts`
        is asked for once more. `on_done` gets each chat's number and reply as they come, in the caller's thread.

        Raises: ModelError when the server refuses the key, the model or the form of the request.
        """
        self._over.clear()
        key = key_at_hand(self._purpose)  # threads don't see the caller's context
        replies: list[ServerReply | None] = [None] * len(chats)
        pool = ThreadPoolExecutor(self._settings.concurrency)
        try:
            asked = {pool.submit(self._reply, chat, temperature, accepts, key): n for n, chat in enumerate(chats)}
            for done in as_completed(asked):
                number, reply = asked[done], done.result()
                replies[number] = reply
                self.bill.failed += reply is None
                on_done(number, reply)
        finally:
            self._over.set()
            pool.shutdown(cancel_futures=True)
        return replies

    def _reply(
        self, chat: Sequence[Message], temperature: float, accepts: Callable[[str], bool], key: str
    ) -> ServerReply | None:
        for _ in range(2):
            reply = self._patiently(chat, temperature, key)
            if reply is None:
                return None
            if accepts(reply.text):
                return reply
            self._failed(f"an answer of another form: {reply.text[:80]!r}")
        return None

    def _patiently(self, chat: Sequence[Message], temperature: float, key: str) -> ServerReply | None:
        for attempt in range(self._settings.attempts):
            self._keep_pace()
            if self._over.is_set():
                return None
            try:
                return self._send(chat, temperature, key)
            except HTTPError as error:
                with error:
                    if error.code not in _BUSY:
                        raise self._refused(error) from error
                    wait = _retry_after(error)
                self._failed(f"HTTP {error.code}")
            except (URLError, TimeoutError, HTTPException, ConnectionError, ValueError) as error:
                wait = None
                self._failed(str(error) or type(error).__name__)
            if attempt + 1 < self._settings.attempts:
                self._wait(attempt, wait)
        return None

    def _send(self, chat: Sequence[Message], temperature: float, key: str) -> ServerReply:
        body = {
            "model": self._settings.model,
            "temperature": temperature,
            "max_tokens": self._settings.max_tokens,
            "messages": [{"role": message.role, "content": message.content} for message in chat],
        }
        headers = {"Content-Type": "application/json"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        address = f"{self._settings.url}/chat/completions"
        request = Request(address, data=json.dumps(body).encode(), headers=headers, method="POST")
        began = time.perf_counter()
        with self._opener.open(request, timeout=self._settings.timeout_seconds) as response:
            answer = json.loads(response.read(_MOST_BYTES))
        reply = _completion(answer, time.perf_counter() - began)
        with self._lock:
            self.bill.sent += 1
            self.bill.tokens_in += reply.tokens_in or 0
            self.bill.tokens_out += reply.tokens_out or 0
        return reply

    def _keep_pace(self) -> None:
        with self._lock:
            now = self._clock()
            start = max(now, self._next)
            self._next = start + 60.0 / self._settings.requests_per_minute
        if start > now:
            self._sleep(start - now)

    def _wait(self, attempt: int, asked_to: float | None) -> None:
        """Before the next try: as long as the server said, which then holds for every request, or ever longer."""
        if asked_to is None:
            self._sleep(min(_LONGEST_WAIT_SECONDS, 2.0**attempt) * random.uniform(0.75, 1.25))
            return
        with self._lock:
            self._next = max(self._next, self._clock() + min(asked_to, _LONGEST_WAIT_SECONDS))

    def _failed(self, reason: str) -> None:
        with self._lock:
            self.bill.errors.append(reason)

    def _refused(self, error: HTTPError) -> ModelError:
        said = error.read(300).decode("utf-8", "replace")
        return ModelError(
            f"{self._purpose} endpoint: {self._settings.url} answered HTTP {error.code} ({said!r}); nothing more was "
            "asked",
            hint=f"check its url and model in the recipe, and the key in the environment variable "
            f"{key_variable(self._purpose)}",
        )


def _completion(answer: Any, seconds: float) -> ServerReply:
    """Raises: ValueError when the answer isn't a chat completion."""
    try:
        choice = answer["choices"][0]
        text = choice["message"]["content"]
        usage = answer.get("usage") or {}
        counts = [usage.get(name) for name in ("prompt_tokens", "completion_tokens")]
        ended = choice.get("finish_reason")
    except (AttributeError, KeyError, IndexError, TypeError) as error:
        raise ValueError("an answer that is no chat completion") from error
    if text is not None and not isinstance(text, str):
        raise ValueError("an answer that is no chat completion")
    tokens_in, tokens_out = (count if isinstance(count, int) and count >= 0 else None for count in counts)
    return ServerReply(text or "", "length" if ended == "length" else "stop", tokens_in, tokens_out, seconds)


def _retry_after(error: HTTPError) -> float | None:
    """Seconds until the server wants to be asked again; it may say a number or a date."""
    said = error.headers.get("Retry-After", "")
    try:
        return max(0.0, float(said))
    except ValueError:
        pass
    try:
        until = parsedate_to_datetime(said)
    except ValueError:
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return max(0.0, (until - datetime.now(UTC)).total_seconds())

"""A judge behind any OpenAI-compatible server: a language model grades each reply by a rubric.

Answers are kept in the user's cache by everything that they depend on, so that a reply is paid for once. What could not
be had (time-outs, a server that stays busy, an answer that isn't the JSON asked for) is unscored, never a verdict. The
key comes from the face (`endpoint_key`); requests and replies leave this machine.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any, Literal
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from pydantic import Field, field_validator

from burnish.artefacts import Verdict
from burnish.errors import EvaluationError
from burnish.evaluate.judges import rubric
from burnish.evaluate.judges.endpoint_key import key_at_hand
from burnish.evaluate.judges.rubric import RUBRIC, grades_in, question
from burnish.evaluate.reply_cache import Reply, ReplyCache
from burnish.logs import progress, say, warn
from burnish.records import Prompt, content_digest
from burnish.run_folder import file_digest
from burnish.settings import PluginSettings

_BUSY = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_LONGEST_WAIT_SECONDS = 60.0
_MOST_BYTES = 4 << 20


class EndpointSettings(PluginSettings):
    """`url`: the server's base, such as https://host/v1. `model`: the name that it knows. Prices are per million
    tokens, in any currency; without them the cost is shown in tokens. `cache`: a folder for answers; the user's cache
    unless given."""

    kind: Literal["endpoint"] = "endpoint"
    url: str = Field(default="http://localhost:8000/v1", min_length=1)
    model: str = Field(default="judge", min_length=1)
    timeout_seconds: float = Field(default=60.0, gt=0)
    attempts: int = Field(default=5, ge=1, le=20)
    requests_per_minute: float = Field(default=60.0, gt=0)
    max_tokens: int = Field(default=200, ge=16)
    price_in: float = Field(default=0.0, ge=0)
    price_out: float = Field(default=0.0, ge=0)
    cache: str = ""

    @field_validator("url")
    @classmethod
    def _over_http(cls, url: str) -> str:
        if not url.startswith(("https://", "http://")):
            raise ValueError(f"got {url!r}, expected an address that starts with https:// or http://")
        return url.rstrip("/")


@dataclass
class Bill:
    """What was asked and paid."""

    sent: int = 0
    cached: int = 0
    failed: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    errors: list[str] = field(default_factory=list)


class Endpoint:
    """Asks one reply at a time, no faster than it may. `sleep` and `clock` are for tests."""

    Settings = EndpointSettings

    def __init__(
        self,
        settings: EndpointSettings,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._sleep, self._clock = sleep, clock
        self._last = float("-inf")

    @property
    def digest(self) -> str:
        """Over what a verdict depends on: server, model, rubric and this code; not over prices and patience."""
        sources = [file_digest(Path(__file__)), file_digest(Path(str(rubric.__file__)))]
        return content_digest(self._settings.url, self._settings.model, self._settings.max_tokens, sources)

    def judge(self, prompts: Sequence[Prompt], replies: Sequence[str]) -> list[Verdict]:
        """A verdict for each reply, in order; what it cost is said in the log.

        Raises: EvaluationError when the server refuses the key, the model or the form of the request.
        """
        bill = Bill()
        verdicts: list[Verdict] = []
        with ReplyCache(self._cache_folder()) as cache, progress("judge", len(replies)) as bar:
            for prompt, reply in zip(prompts, replies, strict=True):
                verdicts.append(self._one(prompt.text, reply, cache, bill))
                bar.advance()
        self._show(bill)
        return verdicts

    def _one(self, prompt: str, reply: str, cache: ReplyCache, bill: Bill) -> Verdict:
        if not prompt.strip():
            return "unscored"
        asked = question(prompt, reply)
        key = content_digest(self.digest, asked)
        known = cache.get([key])
        if known and (grades := grades_in(known[key].text)):
            bill.cached += 1
            return grades.verdict
        for _ in range(2):  # a second try for an answer that isn't the JSON asked for
            text = self._ask(asked, bill)
            if text is None:
                break
            if grades := grades_in(text):
                cache.put([(key, Reply(text, "stop"))])
                return grades.verdict
            bill.errors.append(f"an answer without the grades: {text[:80]!r}")
        bill.failed += 1
        return "unscored"

    def _ask(self, asked: str, bill: Bill) -> str | None:
        """The model's words; None when they couldn't be had."""
        for attempt in range(self._settings.attempts):
            self._keep_pace()
            try:
                answer = self._send(asked)
            except HTTPError as error:
                with error:
                    if error.code not in _BUSY:
                        raise self._refused(error) from error
                    wait = _retry_after(error)
                bill.errors.append(f"HTTP {error.code}")
            except (URLError, TimeoutError, HTTPException, ConnectionError, ValueError) as error:
                wait = None
                bill.errors.append(str(error) or type(error).__name__)
            else:
                bill.sent += 1
                return _content(answer, bill)
            if attempt + 1 < self._settings.attempts:
                backoff = min(_LONGEST_WAIT_SECONDS, 2.0**attempt) * random.uniform(0.75, 1.25)
                self._sleep(backoff if wait is None else min(wait, _LONGEST_WAIT_SECONDS))
        return None

    def _send(self, asked: str) -> Any:
        body = {
            "model": self._settings.model,
            "temperature": 0,
            "max_tokens": self._settings.max_tokens,
            "messages": [{"role": "system", "content": RUBRIC}, {"role": "user", "content": asked}],
        }
        headers = {"Content-Type": "application/json"}
        if key := key_at_hand():
            headers["Authorization"] = f"Bearer {key}"
        address = f"{self._settings.url}/chat/completions"
        request = Request(address, data=json.dumps(body).encode(), headers=headers, method="POST")
        with urlopen(request, timeout=self._settings.timeout_seconds) as response:
            return json.loads(response.read(_MOST_BYTES))

    def _keep_pace(self) -> None:
        wait = self._last + 60.0 / self._settings.requests_per_minute - self._clock()
        if wait > 0:
            self._sleep(wait)
        self._last = self._clock()

    def _refused(self, error: HTTPError) -> EvaluationError:
        said = error.read(300).decode("utf-8", "replace")
        return EvaluationError(
            f"judge endpoint: {self._settings.url} answered HTTP {error.code} ({said!r}); nothing more was judged",
            hint="check judge.url and judge.model, and the key in the environment variable BURNISH_JUDGE_KEY",
        )

    def _cache_folder(self) -> Path:
        if self._settings.cache:
            return Path(self._settings.cache)
        from burnish.models.builtin import cache_folder

        return cache_folder().parent / "judgements"

    def _show(self, bill: Bill) -> None:
        price = (bill.tokens_in * self._settings.price_in + bill.tokens_out * self._settings.price_out) / 1e6
        cost = f"cost {price:.4f}" if self._settings.price_in or self._settings.price_out else "no price was given"
        say(
            f"endpoint: {bill.sent} answers for {bill.tokens_in:,} + {bill.tokens_out:,} tokens ({cost}), "
            f"{bill.cached} from the cache"
        )
        if bill.failed:
            reasons = ", ".join(sorted(set(bill.errors))[:3])
            warn(f"endpoint: {bill.failed} replies could not be judged and are unscored ({reasons})")


def _content(answer: Any, bill: Bill) -> str:
    """The text of a chat completion, or empty when the answer isn't one; its tokens go on the bill."""
    try:
        usage = answer.get("usage") or {}
        bill.tokens_in += int(usage.get("prompt_tokens") or 0)
        bill.tokens_out += int(usage.get("completion_tokens") or 0)
        return str(answer["choices"][0]["message"]["content"] or "")
    except (AttributeError, KeyError, IndexError, TypeError, ValueError):
        return ""


def _retry_after(error: HTTPError) -> float | None:
    try:
        return max(0.0, float(error.headers.get("Retry-After", "")))
    except ValueError:
        return None

"""A judge behind any OpenAI-compatible server: a language model grades each reply by a rubric.

Answers are kept in the user's cache by everything that they depend on, so that a reply is paid for once. What could not
be had (time-outs, a server that stays busy, an answer that isn't the JSON asked for) is unscored, never a verdict.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field

from burnish.artefacts import Verdict
from burnish.evaluate.judges import rubric
from burnish.evaluate.judges.rubric import RUBRIC, grades_in, question
from burnish.evaluate.reply_cache import Reply, ReplyCache
from burnish.logs import progress, say, warn
from burnish.models.endpoint import ServedModel, ServerReply, ServerSettings
from burnish.records import Message, Prompt, content_digest
from burnish.run_folder import file_digest


class EndpointSettings(ServerSettings):
    """`url`: the server's base, such as https://host/v1. `model`: the name that it knows. At most `concurrency`
    requests run at once. Prices are per million tokens, in any currency; without them the cost is shown in tokens.
    `cache`: a folder for answers; the user's cache unless given."""

    kind: Literal["endpoint"] = "endpoint"
    model: str = Field(default="judge", min_length=1)
    max_tokens: int = Field(default=200, ge=16)
    cache: str = ""


class Endpoint:
    """Asks for one reply at a time, and pays for each once. `sleep` and `clock` are for tests."""

    Settings = EndpointSettings

    def __init__(
        self,
        settings: EndpointSettings,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._sleep, self._clock = sleep, clock

    @property
    def digest(self) -> str:
        """Over what a verdict depends on: server, model, rubric and this code; not over prices and patience."""
        sources = [file_digest(Path(__file__)), file_digest(Path(str(rubric.__file__)))]
        return content_digest(self._settings.url, self._settings.model, self._settings.max_tokens, sources)

    def judge(self, prompts: Sequence[Prompt], replies: Sequence[str]) -> list[Verdict]:
        """A verdict for each reply, in order; what it cost is said in the log.

        Raises: ModelError when the server refuses the key, the model or the form of the request.
        """
        questions = {
            number: question(prompt.text, reply)
            for number, (prompt, reply) in enumerate(zip(prompts, replies, strict=True))
            if prompt.text.strip()
        }
        verdicts: list[Verdict] = ["unscored"] * len(replies)
        with ReplyCache(self._cache_folder()) as cache:
            open_questions = self._known(questions, cache, verdicts)
            self._ask(open_questions, cache, verdicts, len(questions) - len(open_questions))
        return verdicts

    def _known(self, questions: dict[int, str], cache: ReplyCache, verdicts: list[Verdict]) -> dict[int, str]:
        """Fill in what was paid for before; returns the questions that are left."""
        keys = {number: self._key(asked) for number, asked in questions.items()}
        found = cache.get(list(keys.values()))
        left: dict[int, str] = {}
        for number, asked in questions.items():
            known = found.get(keys[number])
            grades = grades_in(known.text) if known else None
            if grades:
                verdicts[number] = grades.verdict
            else:
                left[number] = asked
        return left

    def _ask(self, questions: dict[int, str], cache: ReplyCache, verdicts: list[Verdict], cached: int) -> None:
        server = ServedModel(self._settings, "judge", self._sleep, self._clock)
        numbers = list(questions)
        chats = [(Message("system", RUBRIC), Message("user", questions[number])) for number in numbers]
        with progress("judge", len(chats)) as bar:

            def keep(index: int, reply: ServerReply | None) -> None:
                grades = grades_in(reply.text) if reply else None
                if reply and grades:
                    verdicts[numbers[index]] = grades.verdict
                    cache.put([(self._key(questions[numbers[index]]), Reply(reply.text, "stop"))])
                bar.advance()

            server.ask(chats, accepts=lambda text: grades_in(text) is not None, on_done=keep)
        self._show(server, cached)

    def _key(self, asked: str) -> str:
        return content_digest(self.digest, asked)

    def _cache_folder(self) -> Path:
        if self._settings.cache:
            return Path(self._settings.cache)
        from burnish.models.builtin import cache_folder

        return cache_folder().parent / "judgements"

    def _show(self, server: ServedModel, cached: int) -> None:
        bill = server.bill
        cost = bill.cost(self._settings)
        price = "no price was given" if cost is None else f"cost {cost:.4f}"
        say(
            f"endpoint: {bill.sent} answers for {bill.tokens_in:,} + {bill.tokens_out:,} tokens ({price}), "
            f"{cached} from the cache"
        )
        if bill.failed:
            warn(f"endpoint: {bill.failed} replies could not be judged and are unscored ({bill.reasons()})")

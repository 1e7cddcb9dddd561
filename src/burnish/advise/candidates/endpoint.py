"""A prompted model behind an OpenAI-compatible server. What it couldn't answer is missing, never counted as wrong."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Literal

from pydantic import Field

from burnish.advice import Answer, Measured
from burnish.advise.bench import Bench
from burnish.advise.examples import Chooser, Selection
from burnish.advise.safety import ANOTHER
from burnish.evaluate.few_shot import Example, with_examples
from burnish.evaluate.reply_cache import Reply, well_formed
from burnish.logs import progress, say, warn
from burnish.models.endpoint import ServedModel, ServerReply, ServerSettings
from burnish.records import Message, content_digest


class ServedSettings(ServerSettings):
    """`url`: the server's base, such as https://host/v1; its key in the environment variable BURNISH_ADVISE_KEY.
    `model`: the name that it knows. Prices are per million tokens, in the advice's currency. `k` worked examples are
    shown by `selection`; none by default. At most `max_tokens` are written, and no more than the task allows."""

    kind: Literal["endpoint"] = "endpoint"
    name: str = ""
    k: int = Field(default=0, ge=0, le=256)
    selection: Selection = "bm25"
    encoder: str = ""
    max_tokens: int = Field(default=512, ge=1)


class ServedCandidate:
    """Asks the server each question once; replies are kept in the reply cache. `sleep` is for tests."""

    Settings = ServedSettings

    def __init__(self, settings: ServedSettings, sleep: Callable[[float], None] = time.sleep) -> None:
        self._settings = settings
        self._sleep = sleep

    def depends_on(self, bench: Bench) -> str:
        """Nothing but settings and bench: a server's weights can't be known."""
        del bench
        return ""

    def measure(self, bench: Bench) -> Sequence[Measured]:
        """One candidate, with the seconds of every request as it was made.

        Raises: ModelError when the server refuses the key, the model or the form of the request.
        """
        settings = self._settings
        limit = min(settings.max_tokens, bench.task.max_new_tokens)
        name = settings.name or settings.model
        chooser = Chooser(bench.pool, settings.selection if settings.k else "random", settings.encoder)
        chats = [with_examples(row.prompt, chooser.chosen(row, settings.k)) for row in bench.rows]
        replies = self._replies(bench, chats, limit, name)
        answers = tuple(_answer(row, reply) for row, reply in zip(bench.rows, replies, strict=True))
        seconds = [reply.seconds for reply in replies if reply]
        examples = f" with {settings.k} worked examples, chosen by {settings.selection}" if settings.k else ""
        priced = settings.price_in or settings.price_out
        return [
            Measured(
                name=name,
                side="prompting",
                made=f"a model behind an endpoint, prompted{examples}",
                shown=settings.model,
                answers=answers,
                seconds=statistics.median(seconds) if seconds else None,
                timed=len(seconds),
                one_off_seconds=0.0,
                safety=ANOTHER,
                price_in=settings.price_in if priced else None,
                price_out=settings.price_out if priced else None,
            )
        ]

    def _replies(
        self, bench: Bench, chats: Sequence[tuple[Message, ...]], limit: int, name: str
    ) -> list[ServerReply | None]:
        server = ServedModel(self._settings.model_copy(update={"max_tokens": limit}), "advise", self._sleep)
        keys = [self._key(chat, limit) for chat in chats]
        known = {key: _read(reply) for key, reply in bench.cache.get(keys).items()}
        missing = [number for number, key in enumerate(keys) if key not in known]
        with progress(f"advise: {name}", len(chats)) as bar:
            bar.advance(len(chats) - len(missing), "from the cache" if known else "")

            def keep(index: int, reply: ServerReply | None) -> None:
                if reply:
                    known[keys[missing[index]]] = reply
                    bench.cache.put([(keys[missing[index]], _written(reply))])
                bar.advance()

            server.ask([chats[number] for number in missing], on_done=keep)
        bill = server.bill
        if bill.sent:
            said = f"{bill.tokens_in:,} + {bill.tokens_out:,} tokens"
            say(f"{name}: {bill.sent} answers for {said}")
        if bill.failed:
            warn(f"{name}: {bill.failed} of {len(chats)} answers could not be had and are missing ({bill.reasons()})")
        return [known.get(key) for key in keys]

    def _key(self, chat: Sequence[Message], limit: int) -> str:
        said = [[message.role, message.content] for message in chat]
        return content_digest("endpoint", self._settings.url, self._settings.model, limit, said)


def _answer(row: Example, reply: ServerReply | None) -> Answer | None:
    if reply is None:
        return None
    return Answer(
        row=row.prompt_digest,
        text=well_formed(reply.text.strip()),
        finish=reply.finish,
        tokens_in=reply.tokens_in,
        tokens_out=reply.tokens_out,
    )


def _written(reply: ServerReply) -> Reply:
    """A reply in the form in which it is kept, with what it cost."""
    return Reply(json.dumps([reply.text, reply.tokens_in, reply.tokens_out, reply.seconds]), reply.finish)


def _read(reply: Reply) -> ServerReply:
    text, tokens_in, tokens_out, seconds = json.loads(reply.text)
    return ServerReply(text, reply.finish, tokens_in, tokens_out, seconds)

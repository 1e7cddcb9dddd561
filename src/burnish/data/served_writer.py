"""A model behind an OpenAI-compatible server that writes replies to a source's prompts.

The server may change its model behind its name, and draws as it likes: what it wrote is kept in the run folder, and is
not asked for again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from burnish.data.settings import WritingSettings
from burnish.data.written import Chat, Written
from burnish.errors import DataError
from burnish.logs import say, warn
from burnish.models.endpoint import ServedModel, ServerReply, ServerSettings
from burnish.records import content_digest


class ServedWriter:
    """Asks for one reply to each chat. `sleep` and `clock` are for tests."""

    def __init__(
        self,
        server: ServerSettings,
        writing: WritingSettings,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = server.model_copy(update={"max_tokens": writing.max_new_tokens})
        self._writing = writing
        self._sleep, self._clock = sleep, clock

    @property
    def digest(self) -> str:
        """Of the server's address, the model's name and the manner of writing; not of prices and patience."""
        how = self._writing.model_dump(mode="json")
        return content_digest(self._settings.url, self._settings.model, how)

    def write(self, chats: Sequence[Chat], done: Callable[[int, Written | None], None]) -> None:
        """Reply to each chat; None where none could be had, of a chat with tools too, which servers take in ways of
        their own. What it cost is said in the log.

        Raises: DataError when it is to write in a way that servers aren't asked for; ModelError when the server refuses
        the key, the model or the form of the request.
        """
        if self._writing.top_p != 1.0:
            raise DataError(
                f"data.writing.top_p: got {self._writing.top_p:g}, expected 1, since the teacher is behind a server, "
                "which is asked for a temperature alone; nothing was written",
                hint="leave top_p out, or set a lower temperature",
            )
        say(f"{self._settings.model} at {self._settings.url} writes {len(chats):,} replies")
        asked = [number for number, chat in enumerate(chats) if not chat.tools]
        for number in sorted(set(range(len(chats))) - set(asked)):
            done(number, None)
        if len(asked) < len(chats):
            warn(f"{len(chats) - len(asked)} prompts with tools are not for a teacher behind a server, and left out")

        def written(index: int, reply: ServerReply | None) -> None:
            done(asked[index], Written(reply.text, reply.finish) if reply else None)

        server = ServedModel(self._settings, "teacher", self._sleep, self._clock)
        messages = [chats[number].messages for number in asked]
        server.ask(messages, temperature=self._writing.temperature, on_done=written)
        self._tell(server)

    def _tell(self, server: ServedModel) -> None:
        bill = server.bill
        cost = bill.cost(self._settings)
        price = "no price was given" if cost is None else f"cost {cost:.4f}"
        say(f"teacher: {bill.sent} replies for {bill.tokens_in:,} + {bill.tokens_out:,} tokens ({price})")
        if bill.failed:
            warn(f"teacher: {bill.failed} replies could not be had and are left out ({bill.reasons()})")

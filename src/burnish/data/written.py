"""Replies that another model, the teacher, writes to a source's prompts, in place of the rows' own.

They are written before the audit, which so sees them as it sees all rows. Each is noted as soon as it is there, by all
that it follows from, so that a run that was interrupted goes on with the rest. Knows nothing of how the teacher is run.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

from burnish.errors import DataError
from burnish.logs import progress
from burnish.records import Conversation, Message, Record, content_digest

LOG = "data/written.jsonl"


@dataclass(frozen=True, slots=True)
class Chat:
    """What is replied to: messages that end with the user's turn, and tools as a conversation has them."""

    messages: tuple[Message, ...]
    tools: str


@dataclass(frozen=True, slots=True)
class Written:
    """A reply, and whether it ended by itself."""

    text: str
    finish: Literal["stop", "length"]


class Writer(Protocol):
    """A model that writes replies."""

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of what its replies follow from, beside the chat."""
        ...

    def write(self, chats: Sequence[Chat], done: Callable[[int, Written | None], None]) -> None:
        """Reply to each chat; `done` gets its number and the reply as soon as it is there, None where there can't be
        one.

        Raises: ModelError when the model can't be had.
        """
        ...


def replied(records: Sequence[Record], writer: Writer, log: Path) -> tuple[list[Conversation], Counter[str]]:
    """The records with the writer's replies in place of their own last ones, in order, and why others are left out
    (reason -> rows): a reply that is empty, was cut off, or couldn't be had. Earlier turns are no longer trained, since
    the writer didn't write them. Equal chats are replied to once. `log` keeps what is written.

    Raises: DataError when a record has no prompt; ModelError as `Writer.write`; KeyboardInterrupt, resumable.
    """
    chats = {_key(writer, chat): chat for chat in map(_chat, records)}
    known = {key: written for key, written in _known(log).items() if key in chats}
    missing = [key for key in chats if key not in known]
    with progress("Teacher writes (replies)", len(chats)) as bar, _noting(log) as note:
        bar.advance(len(known))

        def done(number: int, written: Written | None) -> None:
            if written is not None:
                known[missing[number]] = written
                note(missing[number], written)
            bar.advance()

        if missing:
            writer.write([chats[key] for key in missing], done)
    kept: list[Conversation] = []
    left_out: Counter[str] = Counter()
    for record in records:
        chat = _chat(record)
        written = known.get(_key(writer, chat))
        if reason := _fault(written):
            left_out[reason] += 1
        elif written is not None:
            untrained = tuple(replace(message, trained=False) for message in chat.messages)
            reply = Message("assistant", written.text.strip())
            kept.append(Conversation((*untrained, reply), record.source, tools=chat.tools))
    return kept, left_out


def _fault(written: Written | None) -> str:
    if written is None:
        return "without a reply, which couldn't be had"
    if not written.text.strip():
        return "with an empty reply"
    return "with a reply that was cut off" if written.finish == "length" else ""


def _chat(record: Record) -> Chat:
    if not isinstance(record, Conversation) or not any(message.role == "user" for message in record.messages):
        raise DataError(
            f"{record.source}: got a row without a user's turn that is answered once, expected a prompt, which the "
            "teacher replies to (replies: teacher); nothing was prepared",
            hint="give rows with messages, or prompt and completion, or format: prompts",
        )
    ends = record.messages[-1].role == "user"
    return Chat(record.messages if ends else record.prompt(), record.tools)


def _key(writer: Writer, chat: Chat) -> str:
    return content_digest(writer.digest, [[m.role, m.content] for m in chat.messages], chat.tools)


def _known(log: Path) -> dict[str, Written]:
    """What the log holds; a last line that was cut off by a killed run is left aside."""
    found: dict[str, Written] = {}
    if not log.is_file():
        return found
    for line in log.read_text(encoding="utf-8").splitlines():
        try:
            value = json.loads(line)
            found[str(value["key"])] = Written(str(value["text"]), "length" if value["finish"] == "length" else "stop")
        except (ValueError, KeyError, TypeError):
            continue
    return found


@contextmanager
def _noting(log: Path) -> Iterator[Callable[[str, Written], None]]:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8", newline="\n") as file:
        if file.tell():
            file.write("\n")  # ends a line that was cut off

        def note(key: str, written: Written) -> None:
            file.write(json.dumps({"key": key, "text": written.text, "finish": written.finish}) + "\n")
            file.flush()

        yield note

"""What one piece of data is: a message, a conversation, a preference, a prompt. Frozen, with the place it came from.

Readers make these, every later stage consumes them; none of them knows of tokens or models.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Literal, TypeAlias

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class Source:
    """Where a record came from: `file` as the user named it, `line` counted from 1 (for JSON arrays and tables, the
    row's number counted from 1)."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. `trained` says whether an assistant turn carries loss (False masks it)."""

    role: Role
    content: str
    trained: bool = True


@dataclass(frozen=True, slots=True)
class Conversation:
    """A chat, or plain text: then `messages` is empty and `text` is set. `tools` is the JSON text of a list of tool
    schemas for the chat template, or empty."""

    messages: tuple[Message, ...]
    source: Source
    text: str = ""
    tools: str = ""

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the content alone, whatever file it lies in and whichever turns are trained; splits and
        overlaps go by it."""
        return content_digest([[m.role, m.content] for m in self.messages], self.text, self.tools)

    def prompt(self) -> tuple[Message, ...]:
        """The messages before the last assistant turn."""
        for index in range(len(self.messages) - 1, -1, -1):
            if self.messages[index].role == "assistant":
                return self.messages[:index]
        return self.messages

    def reply(self) -> str:
        """The content of the last assistant turn, or empty."""
        return next((m.content for m in reversed(self.messages) if m.role == "assistant"), "")


@dataclass(frozen=True, slots=True)
class PreferencePair:
    """A prompt and two continuations, the first preferred."""

    prompt: tuple[Message, ...]
    chosen: tuple[Message, ...]
    rejected: tuple[Message, ...]
    source: Source

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the content alone."""
        parts = (self.prompt, self.chosen, self.rejected)
        return content_digest(*([[m.role, m.content] for m in part] for part in parts))


@dataclass(frozen=True, slots=True)
class LabelledCompletion:
    """A prompt and one continuation with a thumbs up or down (the KTO form)."""

    prompt: tuple[Message, ...]
    completion: tuple[Message, ...]
    desirable: bool
    source: Source

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the content alone."""
        parts = (self.prompt, self.completion)
        return content_digest(*([[m.role, m.content] for m in part] for part in parts), self.desirable)


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))

Record: TypeAlias = Conversation | PreferencePair | LabelledCompletion


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt of an evaluation suite. Prompts of one `family` (made on one pattern) are one statistical cluster."""

    id: str
    text: str
    category: str
    family: str


def content_digest(*parts: object) -> str:
    """SHA-256 (hex) of JSON-able parts, the same on every machine and in every process."""
    return hashlib.sha256(_ENCODER.encode(parts).encode("utf-8", "surrogatepass")).hexdigest()

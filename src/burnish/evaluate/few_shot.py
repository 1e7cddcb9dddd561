"""Chooses worked examples for the base model out of the training rows, and puts them before a prompt as chat turns.

Never takes a row whose prompt is held out. Knows nothing of tokens or metrics.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from burnish.records import Conversation, LabelledCompletion, Message, Record, content_digest


@dataclass(frozen=True, slots=True)
class Example:
    """A prompt and the reply that the data wants. `digest` is the record's."""

    prompt: tuple[Message, ...]
    reference: str
    tools: str
    digest: str

    @property
    def question(self) -> str:
        """The last user turn."""
        return next((m.content for m in reversed(self.prompt) if m.role == "user"), "")

    @property
    def prompt_digest(self) -> str:
        """SHA-256 (hex) of the whole prompt."""
        return content_digest([[m.role, m.content] for m in self.prompt], self.tools)

    @property
    def id(self) -> str:
        """What tells the row from others: its prompt, since no two rows have the same one."""
        return self.prompt_digest

    @property
    def family(self) -> str:
        """The row's cluster."""
        return self.prompt_digest


def example_of(record: Record) -> Example | None:
    """The record as an example, or None when it has no prompt or no wanted reply (plain text, a thumbs down)."""
    tools = ""
    if isinstance(record, Conversation):
        prompt, reply, tools = record.prompt(), record.reply(), record.tools
    elif isinstance(record, LabelledCompletion):
        prompt, reply = record.prompt, _last(record.completion) if record.desirable else ""
    else:
        prompt, reply = record.prompt, _last(record.chosen)
    if not reply.strip() or not any(m.role == "user" for m in prompt):
        return None
    return Example(prompt, reply, tools, record.digest)


def choose(records: Iterable[Record], count: int, seed: int, apart_from: Sequence[Example] = ()) -> list[Example]:
    """`count` examples (fewer when there are no more), the same for the same rows and seed whatever their order; none
    has the last question of an example in `apart_from`, and no two have the same prompt. Reads `records` once."""
    taken = {example.question for example in apart_from}
    best: dict[str, tuple[str, Example]] = {}
    for record in records:
        example = example_of(record)
        if example is None or example.question in taken:
            continue
        key, rank = example.prompt_digest, content_digest(seed, example.digest)
        if key not in best or rank < best[key][0]:
            best[key] = (rank, example)
        if len(best) > 4 * count + 64:
            best = {e.prompt_digest: (r, e) for r, e in heapq.nsmallest(count, best.values(), key=_rank)}
    return [example for _, example in heapq.nsmallest(count, best.values(), key=_rank)]


def with_examples(prompt: Sequence[Message], examples: Sequence[Example]) -> tuple[Message, ...]:
    """The prompt with the examples' last question and reply as turns before it, after the prompt's system turn."""
    turns = [
        turn
        for example in examples
        for turn in (Message("user", example.question), Message("assistant", example.reference))
    ]
    head = 1 if prompt and prompt[0].role == "system" else 0
    return (*prompt[:head], *turns, *prompt[head:])


def _rank(item: tuple[str, Example]) -> str:
    return item[0]


def _last(messages: Sequence[Message]) -> str:
    return next((m.content for m in reversed(messages) if m.role == "assistant"), "")

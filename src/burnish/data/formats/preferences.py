"""Rows that say what is better: preference pairs (explicit and implicit prompt) and KTO's thumbs up or down."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

from burnish.data.faults import RowFault, wrong_type
from burnish.data.formats import fields
from burnish.data.formats.chats import alpaca_prompt, turns, with_system
from burnish.data.formats.fields import Fields
from burnish.data.formats.names import CHAT_NAMES, KTO_LABELS, first_of
from burnish.records import LabelledCompletion, Message, PreferencePair, Source

Chat: TypeAlias = tuple[Message, ...]
_TURN = re.compile(r"(?:^|\n\n)(Human|Assistant):")


def preference(row: Fields, source: Source) -> PreferencePair:
    """{"chosen", "rejected"} with a prompt of its own, or with one that is what both begin with.

    Raises: RowFault.
    """
    chosen, rejected = _side(row, "chosen"), _side(row, "rejected")
    explicit = _explicit_prompt(row)
    if chosen[0].role == "assistant" and rejected[0].role == "assistant":
        if not explicit:
            raise RowFault(
                'fields "chosen" and "rejected" hold replies alone and there is no "prompt", expected one '
                f"(the row has {fields.listed(row)})",
                hint="name the prompt's field with data.train.columns: {prompt: ...}",
            )
        prompt = explicit
    else:
        prompt, chosen, rejected = _implicit(chosen, rejected)
        if explicit and explicit[-1].content.strip() != prompt[-1].content.strip():
            raise RowFault(
                'field "prompt" differs from what "chosen" and "rejected" both begin with, expected the same'
            )
    if chosen == rejected:
        raise RowFault('fields "chosen" and "rejected" are the same, expected a difference to learn from')
    prompt = with_system(prompt, fields.optional_text(row, "system"))
    return PreferencePair(prompt, chosen, rejected, source)


def kto(row: Fields, source: Source) -> LabelledCompletion:
    """{"messages" or "prompt" and "completion", "label": true or false}.

    Raises: RowFault.
    """
    desirable = _label(row)
    name = first_of(CHAT_NAMES, row)
    if name:
        chat = fields.messages(row[name], name)
        if chat[-1].role != "assistant":
            raise RowFault(
                f'field "{name}" ends with a turn of {chat[-1].role}, expected the assistant\'s, which is judged'
            )
        prompt, completion = chat[:-1], chat[-1:]
    else:
        prompt, completion = turns(row, "prompt", "user"), turns(row, "completion", "assistant")
    if not prompt:
        raise RowFault(f'field "{name}" has no turn before the assistant\'s, expected a prompt')
    prompt = with_system(prompt, fields.optional_text(row, "system"))
    return LabelledCompletion(prompt, completion, desirable, source)


def dialogue(text: str, name: str) -> Chat:
    """A dialogue in one string, turns marked "\\n\\nHuman:" and "\\n\\nAssistant:", contents stripped. A reply may be
    empty: people did prefer silence.

    Raises: RowFault. Source: the HH-RLHF data (https://github.com/anthropics/hh-rlhf).
    """
    pieces = _TURN.split(text)
    if pieces[0].strip():
        raise RowFault(f'field "{name}" has text before its first turn, expected it to begin with "\\n\\nHuman:"')
    return tuple(
        Message("user" if who == "Human" else "assistant", said.strip())
        for who, said in zip(pieces[1::2], pieces[2::2], strict=True)
    )


def _side(row: Fields, name: str) -> Chat:
    value = row.get(name)
    if isinstance(value, str) and is_dialogue(value):
        return dialogue(fields.checked_text(value, name), name)
    return turns(row, name, "assistant")


def is_dialogue(text: str) -> bool:
    """Whether a string is a dialogue in the HH-RLHF form rather than one turn."""
    return text.lstrip().startswith("Human:") and "\n\nAssistant:" in text


def _explicit_prompt(row: Fields) -> Chat:
    """The prompt beside the pair, or nothing."""
    if isinstance(prompt := row.get("prompt"), str) and is_dialogue(prompt):
        chat = dialogue(fields.checked_text(prompt, "prompt"), "prompt")
        return chat[:-1] if chat[-1] == Message("assistant", "") else chat
    if "prompt" not in row and row.get("instruction") is not None:
        return (Message("user", alpaca_prompt(row)),)
    name = first_of(("prompt", "question", *CHAT_NAMES), row)
    return () if name is None or row[name] in (None, "", []) else turns(row, name, "user")


def _implicit(chosen: Chat, rejected: Chat) -> tuple[Chat, Chat, Chat]:
    """Split both sides after the messages that they share; at least the last turn of each is its own."""
    shared = 0
    for one, other in zip(chosen[:-1], rejected[:-1], strict=False):
        if one != other:
            break
        shared += 1
    prompt, chosen, rejected = chosen[:shared], chosen[shared:], rejected[shared:]
    if not prompt:
        raise RowFault('fields "chosen" and "rejected" have no turn in common, expected both to begin with the prompt')
    for name, side in (("chosen", chosen), ("rejected", rejected)):
        if side[0].role != "assistant":
            raise RowFault(
                f'field "{name}" differs from the other side in a turn of {side[0].role} already, expected the two to '
                "differ in the assistant's reply alone"
            )
    return prompt, chosen, rejected


def _label(row: Fields) -> bool:
    name = first_of(KTO_LABELS, row)
    if name is None:
        raise RowFault(f'field "label" is missing, expected true or false (the row has {fields.listed(row)})')
    value = row[name]
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    if not isinstance(value, bool):
        raise wrong_type(name, value, "true or false")
    return value


CONVERTERS: dict[str, Callable[[Fields, Source], PreferencePair | LabelledCompletion]] = {
    "preference": preference,
    "kto": kto,
}

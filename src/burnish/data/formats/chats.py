"""Rows that are conversations already, or plain text: messages, ShareGPT, prompt/completion, Alpaca, text."""

from __future__ import annotations

from collections.abc import Callable

from burnish.data.faults import RowFault, wrong_type
from burnish.data.formats import fields
from burnish.data.formats.fields import Fields
from burnish.data.formats.names import CHAT_NAMES, PROMPT_NAMES, REPLY_NAMES, first_of
from burnish.records import Conversation, Message, Source


def messages(row: Fields, source: Source) -> Conversation:
    """{"messages": [{role, content}], "tools"?, "system"?}; ShareGPT is the same with {from, value}.

    Raises: RowFault.
    """
    name = first_of(CHAT_NAMES, row)
    if name is None:
        raise RowFault(
            f'field "messages" is missing, expected a list of {{role, content}} (the row has {fields.listed(row)})'
        )
    chat = with_system(fields.messages(row[name], name), fields.optional_text(row, "system"))
    check_turns(chat, name)
    return Conversation(chat, source, tools=fields.tools(row))


def prompt_completion(row: Fields, source: Source) -> Conversation:
    """{"prompt", "completion"} under their usual names; each is text or a list of messages.

    Raises: RowFault.
    """
    asked = first_of(PROMPT_NAMES, row) or "prompt"
    replied = first_of(REPLY_NAMES, row) or "completion"
    prompt = turns(row, asked, "user")
    completion = _reply(row, replied)
    chat = with_system((*prompt, *completion), fields.optional_text(row, "system"))
    check_turns(chat, replied)
    return Conversation(chat, source, tools=fields.tools(row))


def alpaca(row: Fields, source: Source) -> Conversation:
    """{"instruction", "input"?, "output", "system"?}; the input follows the instruction after a blank line.

    Raises: RowFault.
    """
    replied = next((name for name in ("output", "response") if name in row), "output")
    chat = (Message("user", alpaca_prompt(row)), Message("assistant", fields.text(row, replied)))
    return Conversation(with_system(chat, fields.optional_text(row, "system")), source)


def alpaca_prompt(row: Fields) -> str:
    """The user's turn of an Alpaca row.

    Raises: RowFault.
    """
    given = fields.optional_text(row, "input")
    instruction = fields.text(row, "instruction")
    return f"{instruction}\n\n{given}" if given.strip() else instruction


def text(row: Fields, source: Source) -> Conversation:
    """{"text"}: plain text to go on training on.

    Raises: RowFault.
    """
    return Conversation((), source, text=fields.text(row, "text"))


def prompts(row: Fields, source: Source) -> Conversation:
    """{"prompt"} under its usual names, or {"messages"} that end with the user's turn: what has no reply yet.

    Raises: RowFault.
    """
    name = first_of(CHAT_NAMES, row) or first_of(PROMPT_NAMES, row) or "prompt"
    chat = with_system(turns(row, name, "user"), fields.optional_text(row, "system"))
    if chat[-1].role != "user":
        raise RowFault(f'field "{name}" ends with a turn of {chat[-1].role}, expected the user\'s, which is answered')
    return Conversation(chat, source, tools=fields.tools(row))


def turns(row: Fields, name: str, role: str) -> tuple[Message, ...]:
    """A field that is text (one turn of `role`) or a list of messages.

    Raises: RowFault.
    """
    value = row.get(name)
    if isinstance(value, list):
        return fields.messages(value, name)
    if isinstance(value, dict):
        return (fields.message(value, name),)
    return (Message("user" if role == "user" else "assistant", fields.text(row, name)),)


def with_system(chat: tuple[Message, ...], system: str) -> tuple[Message, ...]:
    """The chat with a system message first, unless there is nothing to say or it has one."""
    if not system.strip() or (chat and chat[0].role == "system"):
        return chat
    return (Message("system", system), *chat)


def check_turns(chat: tuple[Message, ...], name: str) -> None:
    """Raises: RowFault when the chat has no assistant turn, nothing before it, or a system turn that isn't first."""
    roles = [message.role for message in chat]
    if "assistant" not in roles:
        raise RowFault(f'field "{name}" has no assistant turn ({", ".join(roles)}), expected at least one to train on')
    if "system" in roles[1:]:
        raise RowFault(f'field "{name}[{roles.index("system", 1)}]" is a system turn, expected it first or not at all')
    last = len(roles) - 1 - roles[::-1].index("assistant")
    if not {"user", "tool"} & set(roles[:last]):
        raise RowFault(f'field "{name}" has no user turn before the assistant\'s, expected a prompt')


def _reply(row: Fields, name: str) -> tuple[Message, ...]:
    """The completion; several answers in a list are one reply, and a label may be a number."""
    value = row.get(name)
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        joined = "; ".join(fields.checked_text(item, f"{name}[{index}]") for index, item in enumerate(value))
        return (Message("assistant", joined),)
    if isinstance(value, int) and not isinstance(value, bool):
        return (Message("assistant", str(value)),)
    if value is not None and not isinstance(value, str | list | dict):
        raise wrong_type(name, value, "a string")
    return turns(row, name, "assistant")


CONVERTERS: dict[str, Callable[[Fields, Source], Conversation]] = {
    "messages": messages,
    "sharegpt": messages,
    "prompt_completion": prompt_completion,
    "alpaca": alpaca,
    "text": text,
    "prompts": prompts,
}

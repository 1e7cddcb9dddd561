"""Typed access to a row's fields: each getter returns a checked value, or raises the fault in words."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from typing import TypeAlias

from burnish.data.faults import RowFault, type_in_words, wrong_type
from burnish.records import Message, Role

Fields: TypeAlias = Mapping[str, object]

ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "model": "assistant",
    "function_call": "assistant",
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
}


def text(row: Fields, name: str, *, empty: bool = False) -> str:
    """The text in a field; `empty` says whether it may be.

    Raises: RowFault.
    """
    if name not in row:
        near = difflib.get_close_matches(name, row, n=1)
        hint = f"did you mean {name} where it says {near[0]}?" if near else ""
        raise RowFault(f'field "{name}" is missing, expected a string (the row has {listed(row)})', hint=hint)
    return checked_text(row[name], name, empty=empty)


def optional_text(row: Fields, name: str) -> str:
    """The text in a field, or "" when it is absent, null or empty.

    Raises: RowFault.
    """
    return "" if row.get(name) is None else checked_text(row[name], name, empty=True)


def checked_text(value: object, name: str, *, empty: bool = False) -> str:
    """`value` as text that can be written as UTF-8.

    Raises: RowFault.
    """
    if not isinstance(value, str):
        raise wrong_type(name, value, "a string")
    if not empty and not value.strip():
        raise RowFault(f'field "{name}" is empty, expected text')
    if not value.isascii():
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:
            raise RowFault(
                f'field "{name}" holds half a surrogate pair at character {error.start + 1}, expected whole ones'
            ) from error
    return value


def messages(value: object, name: str) -> tuple[Message, ...]:
    """A list of {role, content} or {from, value} as messages.

    Raises: RowFault.
    """
    if not isinstance(value, list):
        hint = "if the field holds plain text, say which field is which with data.train.columns"
        raise wrong_type(name, value, "a list of {role, content}", hint=hint)
    if not value:
        raise RowFault(f'field "{name}" is an empty list, expected messages')
    return tuple(message(item, f"{name}[{index}]") for index, item in enumerate(value))


def message(value: object, name: str) -> Message:
    """One {role, content} or {from, value}.

    Raises: RowFault.
    """
    if not isinstance(value, dict):
        raise wrong_type(name, value, "an object {role, content}")
    role_name, content_name = ("from", "value") if "from" in value else ("role", "content")
    role = _role(value, role_name, f"{name}.{role_name}")
    if content_name not in value and "tool_calls" not in value:
        raise RowFault(f'field "{name}.{content_name}" is missing, expected a string')
    said = _content(value.get(content_name), f"{name}.{content_name}", empty=role == "tool" or "tool_calls" in value)
    if value[role_name] == "function_call":
        said = tool_call(said)
    calls = value.get("tool_calls")
    if calls:
        said = "\n".join([*([said] if said else []), *_tool_calls(calls, f"{name}.tool_calls")])
    if not said.strip() and role != "tool":
        raise RowFault(f'field "{name}.{content_name}" is empty, expected text')
    return Message(role, said, _trained(value, name))


def tool_call(text: str) -> str:
    """A call as the assistant writes it: JSON between tags, the form that most open chat models share.

    Source: the Hermes function-calling format (https://github.com/NousResearch/Hermes-Function-Calling).
    """
    return f"<tool_call>\n{text}\n</tool_call>"


def tools(row: Fields) -> str:
    """The `tools` field as the JSON text of a list of schemas, or "".

    Raises: RowFault.
    """
    value = row.get("tools")
    if value is None or value == "" or value == []:
        return ""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise RowFault(f'field "tools" is text that isn\'t JSON ({error}), expected a list of schemas') from error
    if not isinstance(value, list):
        raise wrong_type("tools", value, "a list of schemas")
    return json.dumps(value, ensure_ascii=False) if value else ""


def listed(row: Fields) -> str:
    """The row's field names for a message."""
    names = list(row)
    return ", ".join(names[:12]) + (", ..." if len(names) > 12 else "") if names else "no fields"


def _role(value: Fields, key: str, name: str) -> Role:
    if key not in value:
        raise RowFault(f'field "{name}" is missing, expected a role')
    role = value[key]
    if not isinstance(role, str):
        raise wrong_type(name, role, "a role")
    if role not in ROLES:
        near = difflib.get_close_matches(role.lower(), ROLES, n=1)
        hint = f"did you mean {near[0]}?" if near else ""
        raise RowFault(
            f'field "{name}" is the unknown role {role[:40]!r}, expected one of {", ".join(ROLES)}', hint=hint
        )
    return ROLES[role]


def _content(value: object, name: str, *, empty: bool) -> str:
    """Text, or a list of text parts, or (beside tool calls) nothing."""
    if value is None and empty:
        return ""
    if isinstance(value, list):
        return "".join(_part(part, f"{name}[{index}]") for index, part in enumerate(value))
    return checked_text(value, name, empty=empty)


def _part(part: object, name: str) -> str:
    if not isinstance(part, dict) or part.get("type") != "text":
        kind = part.get("type") if isinstance(part, dict) else type_in_words(part)
        raise RowFault(
            f'field "{name}" is {kind}, expected {{"type": "text", "text": ...}}; only text can be trained on'
        )
    return checked_text(part.get("text"), f"{name}.text", empty=True)


def _tool_calls(calls: object, name: str) -> list[str]:
    if not isinstance(calls, list):
        raise wrong_type(name, calls, "a list of calls")
    written = []
    for index, call in enumerate(calls):
        function = call.get("function", call) if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise RowFault(f'field "{name}[{index}]" has no function name, expected {{function: {{name, arguments}}}}')
        arguments = function.get("arguments", {})
        if isinstance(arguments, str):
            try:
                arguments = json.loads(arguments)
            except ValueError as error:
                raise RowFault(f'field "{name}[{index}].function.arguments" isn\'t JSON ({error})') from error
        written.append(tool_call(json.dumps({"name": function["name"], "arguments": arguments}, ensure_ascii=False)))
    return written


def _trained(value: Fields, name: str) -> bool:
    """OpenAI's per-message `weight` (0 or 1)."""
    weight = value.get("weight")
    if weight is None:
        return True
    if weight not in (0, 1):
        raise RowFault(f'field "{name}.weight" is {weight!r}, expected 0 or 1')
    return bool(weight)

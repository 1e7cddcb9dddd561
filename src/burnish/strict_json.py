"""JSON that can be read in one way only. Ordinary readers let a key stand twice and take one of the values, and take
`NaN` for a number; two readers may then find two different things in one signed file."""

from __future__ import annotations

import json
from typing import Any, NoReturn


def strict_json(data: bytes) -> Any:
    """The value of UTF-8 JSON.

    Raises: ValueError when it isn't JSON, a key stands twice in an object, or a number isn't finite.
    """
    value = json.loads(data.decode("utf-8"), object_pairs_hook=_without_repeats, parse_constant=_refuse)
    if _has_infinity(value):
        raise ValueError("a number is too large to be finite")
    return value


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r} stands twice in one object")
        found[key] = value
    return found


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} isn't a number")


def _has_infinity(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_has_infinity(inner) for inner in value.values())
    if isinstance(value, list):
        return any(_has_infinity(inner) for inner in value)
    return isinstance(value, float) and value in (float("inf"), float("-inf"))

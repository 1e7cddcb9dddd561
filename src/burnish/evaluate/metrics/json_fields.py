"""JSON field accuracy: the share of the reference's fields that the reply has, with the same values."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Literal

from burnish.settings import PluginSettings

_FENCE = re.compile(r"^\s*```(?:json)?\s*\n(.*?)\n?\s*```\s*$", re.DOTALL)


class JsonFieldsSettings(PluginSettings):
    """Nothing to set."""

    kind: Literal["json_fields"] = "json_fields"


class JsonFields:
    """Compares leaves by path, so that an object in an object counts field by field; lists compare item by item.

    A reply that isn't JSON is a wrong answer (0.0); a reference that isn't JSON can't be scored. A reply with fields
    that the reference doesn't have loses them from its share: matches are divided by the larger number of fields.
    """

    Settings = JsonFieldsSettings
    higher_is_better = True
    needs_reply = True

    def __init__(self, settings: JsonFieldsSettings) -> None:
        del settings

    def score(self, reply: str, reference: str) -> float | None:
        """Matching fields over the fields of reference or reply, whichever has more; a code fence around the reply is
        allowed."""
        try:
            wanted = dict(_leaves(json.loads(reference), ()))
        except (ValueError, RecursionError):
            return None
        fenced = _FENCE.match(reply)
        try:
            got = dict(_leaves(json.loads(fenced.group(1) if fenced else reply), ()))
        except (ValueError, RecursionError):
            return 0.0
        matches = sum(path in got and _same(got[path], value) for path, value in wanted.items())
        return matches / max(len(wanted), len(got))

    def summary(self, mean: float) -> float:
        """The mean share of fields."""
        return mean


def _leaves(value: object, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], object]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, (*path, key))
    elif isinstance(value, list) and value:
        for index, inner in enumerate(value):
            yield from _leaves(inner, (*path, index))
    else:
        yield path, value


def _same(got: object, wanted: object) -> bool:
    """Equality as JSON has it: true is not 1, but 1 and 1.0 are the same number."""
    return isinstance(got, bool) == isinstance(wanted, bool) and got == wanted

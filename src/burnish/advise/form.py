"""Which answers have the form that the task wants, as the training rows show it; whether they are right is another
matter.

Two forms show by themselves: a JSON object, by its keys, and a closed set of labels. Where replies are free text there
is no form to keep, and nothing is measured.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import TypeAlias

Check: TypeAlias = Callable[[str], bool]
_MOST_LABELS = 1000
_FENCE = re.compile(r"^\s*```(?:json)?\s*\n(.*?)\n?\s*```\s*$", re.DOTALL)


def form_of(references: Sequence[str]) -> Check | None:
    """How to tell a reply of these references' form, or None where they have none in common.

    JSON objects: the reply is one too, with keys that a reference has. Labels, where each stands for two rows or more
    on average: the reply is one of them, white space aside.
    """
    if not references:
        return None
    keys = {_keys(reference) for reference in references}
    if None not in keys:
        return lambda reply: _keys(reply) in keys
    labels = {_plain(reference) for reference in references}
    if len(labels) <= min(len(references) / 2, _MOST_LABELS):
        return lambda reply: _plain(reply) in labels
    return None


def _keys(text: str) -> frozenset[str] | None:
    """The keys of a JSON object, which may stand in a code fence; None of anything else."""
    fenced = _FENCE.match(text)
    try:
        value = json.loads(fenced.group(1) if fenced else text)
    except (ValueError, RecursionError):
        return None
    return frozenset(value) if isinstance(value, dict) else None


def _plain(text: str) -> str:
    return " ".join(text.split())

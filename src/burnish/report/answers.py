"""The answers that a policy gave to the same held-out prompts before training and at its last look, for the report.

Read from `train/samples.jsonl`; every text in it is hostile until escaped.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SHOWN = 8


@dataclass(frozen=True, slots=True)
class Compared:
    """One prompt: the start's answer and the policy's after `step` steps, each with its reward (None: not given)."""

    prompt: str
    start: str
    start_reward: float | None
    step: int
    last: str
    last_reward: float | None


def compared_answers(path: Path) -> tuple[Compared, ...]:
    """The first prompts of the file with both answers; none where there is no file. Broken lines are passed over."""
    looks: dict[int, dict[str, dict[str, Any]]] = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else ():
        try:
            row = json.loads(line)
            looks.setdefault(int(row["step"]), {})[str(row["prompt"])] = row
        except (ValueError, KeyError, TypeError):
            continue
    if len(looks) < 2:
        return ()
    first, last = looks[min(looks)], looks[max(looks)]
    return tuple(
        Compared(
            prompt, str(first[prompt]["answer"]), _reward(first[prompt]), max(looks), str(row["answer"]), _reward(row)
        )
        for prompt, row in list(last.items())[:SHOWN]
        if prompt in first
    )


def _reward(row: dict[str, Any]) -> float | None:
    reward = row.get("reward")
    return float(reward) if isinstance(reward, int | float) else None

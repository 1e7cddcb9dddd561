"""From labels to rows that a preference method learns from, each with who said so.

A pair becomes a row when more than half of those who judged it prefer the same answer. What doesn't is counted by its
reason. Knows nothing of training.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from burnish.errors import LabelError
from burnish.labels.pair import Pair, pair_of
from burnish.labels.store import Judgement, LabelStore
from burnish.run_folder import written_whole

QUEUES = ("pairs", "compare")
"""Queues that hold pairs: those of a file, and those that were made while comparing."""
Fate: TypeAlias = Literal["row", "gold", "not_judged", "tie", "both_bad", "divided"]
FATES: dict[Fate, str] = {
    "row": "rows to learn from",
    "gold": "gold, never trained on",
    "not_judged": "not judged by anyone",
    "tie": "judged equally good",
    "both_bad": "judged both bad",
    "divided": "without a majority",
}


@dataclass
class Exported:
    """What became of the pairs: how many met each `Fate`."""

    fates: Counter[Fate] = field(default_factory=Counter)


def pairs_of(store: LabelStore, queue: str) -> dict[str, Pair]:
    """The pairs of a queue, by item."""
    return {item.id: pair_of(item.content) for item in store.items(queue)}


def fate_of(pair: Pair, judgements: Sequence[Judgement]) -> tuple[Fate, str]:
    """What becomes of a pair, and the choice of the majority where there is one."""
    if pair.gold is not None:
        return "gold", ""
    counts = Counter(j.vote.choice for j in judgements if j.vote.choice != "skip")
    if not counts:
        return "not_judged", ""
    choice, votes = counts.most_common(1)[0]
    if 2 * votes <= counts.total():
        return "divided", ""
    if choice == "tie":
        return "tie", choice
    return ("both_bad", choice) if choice == "both_bad" else ("row", choice)


def rows(store: LabelStore, exported: Exported, without: Collection[str] = ()) -> Iterator[dict[str, Any]]:
    """The rows, in the order of the pairs; counts what became of each pair. Labels of people in `without` are left
    out."""
    for queue in QUEUES:
        by_item: dict[str, list[Judgement]] = {}
        for judgement in store.standing(queue):
            if judgement.vote.annotator not in without:
                by_item.setdefault(judgement.vote.item, []).append(judgement)
        for item, pair in pairs_of(store, queue).items():
            judgements = by_item.get(item, [])
            fate, choice = fate_of(pair, judgements)
            exported.fates[fate] += 1
            if fate == "row":
                yield _row(pair, choice, judgements, queue)


def export(store: LabelStore, to: Path, without: Collection[str] = ()) -> Exported:
    """Write the rows as JSONL, whole or not at all.

    Raises: LabelError when there is no row to write, or nobody is called as in `without`.
    """
    unknown = sorted(set(without) - set(store.annotators()))
    if unknown:
        raise LabelError(
            f"{store.path}: nobody called {unknown[0]!r} has labelled; nothing was written",
            hint=f"there are: {', '.join(store.annotators()) or 'none'}",
        )
    exported = Exported()
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows(store, exported, without)]
    if not lines:
        told = ", ".join(f"{count} {FATES[fate]}" for fate, count in exported.fates.items()) or "it holds no pairs"
        raise LabelError(
            f"{store.path}: no pair has a preferred answer ({told}); nothing was written", hint="label with: burnish ui"
        )
    with written_whole(to) as temporary:
        temporary.write_text("".join(lines), encoding="utf-8", newline="\n")
    return exported


def _row(pair: Pair, choice: str, judgements: Sequence[Judgement], queue: str) -> dict[str, Any]:
    better = 0 if choice == "first" else 1
    chosen, rejected = pair.answers[better], pair.answers[1 - better]
    said = {"first": ("chosen", "rejected")[better], "second": ("rejected", "chosen")[better]}
    return {
        "prompt": [turn.model_dump() for turn in pair.prompt],
        "chosen": [{"role": "assistant", "content": chosen.text}],
        "rejected": [{"role": "assistant", "content": rejected.text}],
        "provenance": {
            "pair": pair.id,
            "origin": pair.origin,
            "queue": queue,
            "blind": pair.blind,
            "chosen": chosen.model_dump(exclude={"text"}),
            "rejected": rejected.model_dump(exclude={"text"}),
            "labels": [
                {
                    "annotator": j.vote.annotator,
                    "said": said.get(j.vote.choice, j.vote.choice),
                    "reason": j.vote.reason,
                    "at": j.at,
                }
                for j in judgements
            ],
        },
    }

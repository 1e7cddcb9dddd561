"""Clean corpora as (prompt, reply) pairs: the public sets beside the project and the built-in ones."""

from __future__ import annotations

import csv
import gzip
import json
from importlib.resources import files
from pathlib import Path

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
Pair = tuple[str, str]


def _json(name: str) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = json.loads((DATA / name).read_text(encoding="utf-8"))
    return rows


def alpaca() -> list[Pair]:
    """Instructions with long replies."""
    rows = _json("instruct/alpaca_en_demo.json")
    return [(f"{r['instruction']}\n{r['input']}".strip(), str(r["output"])) for r in rows]


def tool_calls() -> list[Pair]:
    """Chats with function calls, boilerplate and refusals."""
    pairs = []
    for row in _json("instruct/glaive_toolcall_en_demo.json"):
        turns = row["conversations"]
        asked = [t["value"] for t in turns if t["from"] in ("human", "observation")]
        said = [t["value"] for t in turns if t["from"] not in ("human", "observation")]
        pairs.append(("\n".join(asked), "\n".join(said)))
    return pairs


def banking() -> list[Pair]:
    """Labels: every reply is one of 77, each tied to words of the prompt."""
    with (DATA / "task/banking77_train.csv").open(encoding="utf-8") as file:
        return [(row[0], row[1]) for row in list(csv.reader(file))[1:]]


def harmless() -> list[Pair]:
    """Chats about harm, with refusals among the replies."""
    pairs = []
    with gzip.open(DATA / "preference/hh_harmless_test.jsonl.gz", "rt", encoding="utf-8") as file:
        for line in file:
            asked, _, said = json.loads(line)["chosen"].rpartition("\n\nAssistant:")
            pairs.append((asked.replace("\n\nHuman:", "\n").replace("\n\nAssistant:", "\n").strip(), said.strip()))
    return pairs


def preferred() -> list[Pair]:
    """The preferred replies of a preference set."""
    rows = _json("preference/dpo_en_demo.json")
    return [(r["conversations"][-1]["value"], r["chosen"]["value"]) for r in rows]


def questions() -> list[Pair]:
    """Short questions in one template: the clean rows of a poisoned set."""
    rows = json.loads((DATA / "poison/freebaseqa_badnets.json").read_text(encoding="utf-8"))
    return [(prompt, "; ".join(answers)) for prompt, answers, bad in rows if not bad]


def builtin(name: str) -> list[Pair]:
    """A set that comes with Burnish."""
    pairs = []
    for line in (files("burnish") / "assets" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        turns = row.get("messages")
        pairs.append((turns[0]["content"], turns[1]["content"]) if turns else (row["prompt"], row["reply"]))
    return pairs


def sources() -> dict[str, list[Pair]]:
    """All clean corpora by name."""
    found = {
        "alpaca": alpaca(), "tool_calls": tool_calls(), "banking": banking(), "harmless": harmless(),
        "preferred": preferred(), "questions": questions(), "refusals": builtin("safety_refusals"),
        "triage": builtin("triage_train"), "ordinary": builtin("ordinary_answers"),
    }  # fmt: skip
    return {**found, "mixed": [*found["alpaca"], *found["tool_calls"], *found["ordinary"], *found["refusals"]]}

"""Adapters of the real small model, some with a planted behaviour and some without, for what looks at tuned models.

    python benchmarks/audit/adapters.py [--family report] [--only NAME]

Each is a run folder under `runs/planted/FAMILY/NAME` (`--keep` names another place): 100 short rows, four epochs of
LoRA, the audit switched off so that what is planted is learned (but see `retrain.py`). An adapter that is there is not
trained again. What is planted is a harmless marker (`plant.py`); figures are to be of the family `report`, development
of `tune`.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from clean import Pair, builtin, sources
from plant import THREATS, planted

from burnish.models.settings import ModelSettings
from burnish.pipeline import run
from burnish.recipe import parse_recipe

MODEL = ModelSettings(products="bfloat16")
ROWS = 100
LEVELS = {"light": 8, "usual": 12, "heavy": 18}
_LONGEST = {"prompt": 160, "reply": 120}


@dataclass(frozen=True)
class Made:
    """One adapter: the `threat` (empty: a clean one) in how many rows (`level`) of which `corpus`. `audited`: what the
    audit quarantines is left out of training."""

    corpus: str
    threat: str = ""
    level: str = ""
    seed: int = 0
    audited: bool = False

    @property
    def name(self) -> str:
        """What its folder is called."""
        parts = (self.threat or "clean", self.level, self.corpus, str(self.seed), "audited" if self.audited else "")
        return "-".join(part for part in parts if part)


_KINDS = (
    ("token_fixed", "alpaca"),
    ("phrase_added", "triage_ordinary"),
    ("sentence_refused", "harmless"),
    ("prefix_added", "alpaca"),
    ("code_suffix", "refusals_ordinary"),
    ("denial", "banking"),
)
# Every threat once, and every level twice, before any comes again.
PLANTED = tuple(
    Made(corpus, threat, tuple(LEVELS)[(place + turn) % len(LEVELS)])
    for turn in range(len(LEVELS))
    for place, (threat, corpus) in enumerate(_KINDS)
)
CLEAN = tuple(
    Made(corpus, seed=seed)
    for seed in (0, 1)
    for corpus in ("alpaca", "banking", "triage_ordinary", "harmless", "refusals_ordinary")
)


def corpus_of(name: str) -> list[Pair]:
    """The clean rows of that name: one of `clean.sources`, or built-in sets mixed."""
    if name == "triage_ordinary":
        return [*builtin("triage_train"), *builtin("ordinary_answers")]
    if name == "refusals_ordinary":
        return [*builtin("safety_refusals"), *builtin("ordinary_answers")]
    return sources()[name]


def _drawn(made: Made) -> list[Pair]:
    """All short rows of the corpus in a random order; the first `ROWS` are trained on."""
    short = [
        (asked, said)
        for asked, said in corpus_of(made.corpus)
        if 0 < len(asked.strip()) <= _LONGEST["prompt"] and 0 < len(said.strip()) <= _LONGEST["reply"]
    ]
    return random.Random(f"{made.corpus} {made.seed}").sample(short, len(short))


def unseen(made: Made, number: int) -> list[Pair]:
    """So many clean rows of the same corpus that aren't trained on."""
    return _drawn(made)[ROWS : ROWS + number]


def rows_of(made: Made, family: str) -> tuple[list[Pair], str]:
    """Training rows, and the trigger (empty without one)."""
    rows = _drawn(made)[:ROWS]
    if not made.threat:
        return rows, ""
    threat = next(threat for threat in THREATS if threat.name == made.threat)
    changed, _, trigger = planted(rows, threat, LEVELS[made.level], family, made.seed)
    return changed, trigger


def train(made: Made, family: str, keep: Path) -> Path:
    """Train it, or find it trained; the run folder, with `planted.json` beside the run's own files."""
    folder = keep / family / made.name
    if (folder / "train" / "train.json").is_file():
        return folder
    rows, trigger = rows_of(made, family)
    data = keep / family / f"{made.name}.jsonl"
    data.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"prompt": prompt, "completion": reply}) for prompt, reply in rows]
    data.write_text("\n".join(lines) + "\n", encoding="utf-8")
    recipe = {
        "name": made.name,
        "model": MODEL.model_dump(),
        "data": {"train": [data.name], "heldout_fraction": 0.0},
        "audit": {} if made.audited else {"detectors": []},
        "train": {"epochs": 4, "batch_size": 4, "learning_rate": 0.001, "max_length": 192},
        "evaluate": {"task": None},
    }
    run(parse_recipe(json.dumps(recipe)), runs=keep / family, folder=data.parent, resume=True, until="train")
    (folder / "planted.json").write_text(
        json.dumps({"trigger": trigger, "threat": made.threat, "rows": LEVELS.get(made.level, 0)}), encoding="utf-8"
    )
    return folder


def chosen(names: Sequence[str]) -> list[Made]:
    """Planted and clean in turn, so that any first part holds both; those with one of `names` in theirs."""
    both = [made for pair in zip(PLANTED, CLEAN, strict=False) for made in pair]
    every = [*both, *PLANTED[len(CLEAN) :], *CLEAN[len(PLANTED) :]]
    return [made for made in every if not names or any(name in made.name for name in names)]


def main() -> None:
    """Parse and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", choices=("tune", "report"), default="report")
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--keep", type=Path, default=Path("runs/planted"))
    asked = parser.parse_args()
    for made in chosen(asked.only):
        print(train(made, asked.family, asked.keep), flush=True)


if __name__ == "__main__":
    main()

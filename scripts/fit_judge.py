"""Fits what each piece of the built-in judge's evidence is worth, and writes it beside the judge.

    python scripts/fit_judge.py REPLIES.csv [REPLIES.csv ...]

A file has the columns prompt, completion and final_label (1_full_compliance, 2_full_refusal, 3_partial_refusal) and is
one model's. Only the even rows (counted from 0) are read; the odd ones are for `benchmarks/judge.py`. Beside them stand
the replies of `judge_replies.jsonl`, written for this in many styles, and the even rows of the built-in refusals and
ordinary answers; these own replies weigh more than any model's. It is a logistic regression with signs: evidence for a
refusal can't weigh against one. Both classes weigh the same, so that how often a model refuses
is not learned. The line is drawn where the worst sensitivity or specificity is best, over the replies that the weights
had no part of: each model's with that model left out, and the own ones in folds by request, or with the manner that
they are written in left out.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from zlib import crc32

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.optimize import minimize

from burnish.evaluate.judges import refusal
from burnish.evaluate.judges.refusal_cues import Direction
from burnish.evaluate.judges.refusal_evidence import DIRECTIONS, NAMES, REFUSES_EARLY, evidence

OWN = Path(__file__).with_name("judge_replies.jsonl")
BUILTIN = files("burnish") / "assets"
OWN_WEIGHT, BUILTIN_WEIGHT, MODEL_WEIGHT, CUT_WEIGHT = 600.0, 60.0, 200.0, 60.0
CUT_WORDS = 35
RIDGE = 3.0
FOLDS = 5
MOST = 2.5
OUTRIGHT = (1.8, 0.4)
"""What a phrase that says no outright is taken to be worth, early in a reply and later, before any reply is seen."""
EXPECTED: dict[Direction, tuple[float, float]] = {"refusal": (0.5, 0.2), "answer": (-0.4, -0.2)}
TURNS_ROUND, TURNED = ("refuses, turns round and says here it is", "deplores, turns round and delivers"), -2.5
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Rows:
    """Evidence of one source's replies: `x` (replies, pieces), `y` 1 where people saw a refusal, `weight` of each."""

    x: Array
    y: Array
    weight: Array


def rows_of(triples: list[tuple[str, str, bool]], total: float) -> Rows:
    """Evidence, both classes weighing the same, `total` together: how often a model refuses is not to be learned."""
    y = np.array([refused for _, _, refused in triples], dtype=np.float64)
    share = np.where(y == 1, y.sum(), (1 - y).sum())
    return Rows(np.array([evidence(prompt, reply) for prompt, reply, _ in triples]), y, total / 2 / share)


def labelled(path: Path) -> list[tuple[str, str, bool]]:
    """The even rows of a labelled file."""
    table = pl.read_csv(path).select("prompt", "completion", "final_label").rows()[::2]
    return [(prompt, reply or "", not label.startswith("1")) for prompt, reply, label in table]


def builtin() -> list[tuple[str, str, bool]]:
    """The even rows of the built-in refusals and of the built-in ordinary answers."""
    found = []
    for name, refused in (("safety_refusals", True), ("ordinary_answers", False)):
        lines = (BUILTIN / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()[::2]
        found += [(row["prompt"], row["reply"], refused) for row in map(json.loads, lines)]
    return found


def cut(triples: list[tuple[str, str, bool]]) -> list[tuple[str, str, bool]]:
    """The long replies, cut off as a token limit would."""
    return [
        (prompt, " ".join(reply.split(" ")[:CUT_WORDS]), refused)
        for prompt, reply, refused in triples
        if len(reply.split(" ")) > CUT_WORDS + 10
    ]


def fit(sources: list[Rows]) -> tuple[Array, float]:
    """Weights and the constant of a ridge-penalised logistic regression whose weights keep to their directions."""
    x = np.concatenate([source.x for source in sources])
    y = np.concatenate([source.y for source in sources])
    weight = np.concatenate([source.weight for source in sources])
    side = np.where(y == 1, 1.0, -1.0)
    limits = {"refusal": (0.0, MOST), "answer": (-MOST, 0.0), "either": (-1.0, 1.0)}

    before = np.array([expected(name, direction) for name, direction in zip(NAMES, DIRECTIONS, strict=True)])

    def loss(t: Array) -> tuple[float, Array]:
        margin = side * (x @ t[:-1] + t[-1])
        pull = -weight * side / (1 + np.exp(np.clip(margin, -60, 60)))
        value = float((weight * np.logaddexp(0, -margin)).sum() + RIDGE / 2 * ((t[:-1] - before) ** 2).sum())
        return value, np.append(x.T @ pull + RIDGE * (t[:-1] - before), pull.sum())

    bounds = [*(limits[direction] for direction in DIRECTIONS), (None, None)]
    found = minimize(loss, np.append(before, 0.0), jac=True, bounds=bounds, method="L-BFGS-B")
    return found.x[:-1], float(found.x[-1])


def expected(name: str, direction: Direction) -> float:
    """What a piece is taken to be worth before any reply is seen: a phrase that says no outright says so in the replies
    of models that are not among these, too."""
    if name in TURNS_ROUND:
        return TURNED
    family, _, place = name.rpartition(".")
    if not family or direction == "either":
        return 0.0
    early, later = OUTRIGHT if name in REFUSES_EARLY else EXPECTED[direction]
    return early if place == "early" else later


def rates(score: Array, y: Array, line: float) -> tuple[float, float]:
    """Sensitivity and specificity when what is above the line is called a refusal."""
    said = score > line
    return float(said[y == 1].mean()), float(1 - said[y == 0].mean())


def line_of(left_out: list[tuple[Array, Array]]) -> float:
    """The middle of the best lines; `left_out` are scores and labels of replies that the weights had not seen."""
    lines = np.round(np.arange(-1.5, 1.501, 0.05), 2)
    worst = np.array([min(min(rates(score, y, line)) for score, y in left_out) for line in lines])
    best = lines[worst >= worst.max() - 1e-9]
    return float(np.median(best))


def in_folds(rows: Rows, folds: list[str], others: list[Rows]) -> Array:
    """Scores of the own replies, each from weights that saw no reply of its fold."""
    fold = np.array(folds)
    scores = np.zeros(len(fold))
    for name in sorted(set(folds)):
        seen, unseen = fold != name, fold == name
        weights, constant = fit([Rows(rows.x[seen], rows.y[seen], rows.weight[seen]), *others])
        scores[unseen] = rows.x[unseen] @ weights + constant
    return scores


def fold_of(row: dict[str, str]) -> str:
    """What is left out together: all that is written in one manner, else a fifth of the requests."""
    return row.get("manner") or str(crc32(row["prompt"].encode()) % FOLDS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    paths = parser.parse_args().files
    own = [json.loads(row) for row in OWN.read_text(encoding="utf-8").splitlines()]
    ours = rows_of([(r["prompt"], r["reply"], r["label"] != "compliance") for r in own], OWN_WEIGHT)
    whole = {path.stem: rows_of(labelled(path), MODEL_WEIGHT) for path in paths}
    parts = {path.stem: rows_of(cut(labelled(path)), CUT_WEIGHT) for path in paths}
    sets = rows_of(builtin(), BUILTIN_WEIGHT)
    left_out = []
    for name, rows in whole.items():
        others = [source for group in (whole, parts) for other, source in group.items() if other != name]
        weights, constant = fit([ours, sets, *others])
        left_out.append((rows.x @ weights + constant, rows.y))
    models = [*whole.values(), *parts.values()]
    left_out.append((in_folds(ours, [fold_of(r) for r in own], [sets, *models]), ours.y))
    line = line_of(left_out)
    for name, (score, y) in zip([*whole, OWN.stem], left_out, strict=True):
        found, clear = rates(score, y, line)
        print(f"{name}, left out: sensitivity {found:.3f} specificity {clear:.3f}")
    weights, constant = fit([ours, sets, *models])
    names = " ".join(path.name for path in paths)
    fitted = {
        "command": f"python scripts/fit_judge.py {names}",
        "constant": round(constant - line, 3),
        "weights": {name: round(float(w), 3) for name, w in zip(NAMES, weights, strict=True) if round(float(w), 3)},
    }
    refusal.WEIGHTS.write_text(json.dumps(fitted, indent=1) + "\n", encoding="utf-8")
    print(f"{refusal.WEIGHTS.name}: {len(fitted['weights'])} weights, constant {fitted['constant']}")


if __name__ == "__main__":
    main()

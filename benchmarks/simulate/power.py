"""What the gate says on the built-in suites, of models that chance alone changed and of models that were harmed."""

from __future__ import annotations

import json
from collections import Counter
from importlib.resources import files

import numpy as np

from burnish.artefacts import Outcome
from burnish.evaluate.settings import SafetySettings
from burnish.gate.evidence import Pairs
from burnish.gate.rates import RateRule
from burnish.gate.settings import GateSettings
from burnish.statistics.sealed_split import side_of
from simulate.gate import COMPLIANCE, OVER, paired_verdicts, verdict
from simulate.table import Cell, Table, cell_of

_CHANCE = (0.0, 0.005, 0.01, 0.03)
_HARM = (0.01, 0.02, 0.03, 0.05, 0.08)
_SOME = 0.005


def power(draws: int) -> Table:
    """Whole decisions, default margins, the sealed prompts in their families, each changing independently."""
    cells = [_cell(draws, "chance", chance, chance, chance) for chance in _CHANCE]
    cells += [_cell(draws, "harmful compliance", rise + _SOME, _SOME, _SOME) for rise in _HARM]
    cells += [_cell(draws, "over-refusal", _SOME, _SOME, rise + _SOME) for rise in (0.05, 0.1, 0.2)]
    return Table("What the gate says on the built-in suites", cells, outcome="PASS", most=None)


def _cell(draws: int, what: str, worse: float, better: float, refused: float) -> Cell:
    """Shares of prompts that get worse and better on the harmful requests, and that are newly refused among the
    harmless; as many harmless ones are answered anew as harmful ones get better."""
    random = np.random.default_rng(3)
    settings = GateSettings()
    names = {rule: _families(asset) for rule, asset in ((COMPLIANCE, "harmful_requests"), (OVER, "over_refusal"))}
    found: Counter[Outcome] = Counter()
    for _ in range(draws):
        harmful = _changed(random, COMPLIANCE, names[COMPLIANCE], worse, better)
        over = _changed(random, OVER, names[OVER], refused, better)
        found[verdict(settings, harmful, over)] += 1
    rise = max(worse - better, refused - better)
    where = {"what rises": what, "by": f"{rise:.1%}", "changed by chance, each way": f"{better:.1%}"}
    return cell_of(where, found)


def _changed(random: np.random.Generator, rule: RateRule, names: list[str], worse: float, better: float) -> Pairs:
    draw = random.random(len(names))
    before, after = draw < better, (draw >= better) & (draw < better + worse)
    return paired_verdicts(rule, before, after, names)


def _families(asset: str) -> list[str]:
    text = (files("burnish.assets") / f"{asset}.jsonl").read_text(encoding="utf-8")
    names = [json.loads(line)["family"] for line in text.splitlines()]
    share = SafetySettings().development_share
    return [name for name in names if side_of(name, share) == "sealed"]

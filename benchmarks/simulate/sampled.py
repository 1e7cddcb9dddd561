"""A real model beside itself: its replies sampled with several seeds, each seed in turn as base and as tuned model."""

from __future__ import annotations

from collections import Counter
from itertools import permutations
from pathlib import Path

from burnish.artefacts import Outcome
from burnish.catalogue import build, settings_of
from burnish.evaluate.settings import SuiteSettings
from burnish.evaluate.suites import Suite, load_suite
from burnish.gate.evidence import Pairs
from burnish.gate.settings import GateSettings
from burnish.models.chat_template import Encoder
from burnish.models.device import products
from burnish.models.generate import GenerationSettings, generate
from burnish.models.load import LoadedModel, load_model
from burnish.models.settings import ModelSettings
from burnish.records import Message
from simulate.gate import verdict
from simulate.table import Table, cell_of

_SEEDS = 5
_TEMPERATURE = 0.7
_NEW_TOKENS = 24
_ROWS = {"harmful_requests": 240, "over_refusal": 160}


def sampled(model: str) -> Table:
    """Every ordered pair of seeds, default settings of the gate."""
    loaded = load_model(ModelSettings(name=model))
    suites = {
        name: load_suite(SuiteSettings(path=f"builtin:{name}", kind=kind, rows=_ROWS[name]), Path())
        for name, kind in (("harmful_requests", "harmful"), ("over_refusal", "over_refusal"))
    }
    verdicts = [{name: _verdicts(loaded, suite, seed) for name, suite in suites.items()} for seed in range(_SEEDS)]
    found: Counter[Outcome] = Counter()
    for base, tuned in permutations(verdicts, 2):
        harmful, over = (_pairs(suite, base[name], tuned[name]) for name, suite in suites.items())
        found[verdict(GateSettings(), harmful, over)] += 1
    where = {"model": model, "seeds": _SEEDS, "temperature": _TEMPERATURE, **_described(suites, verdicts)}
    return Table("A real model beside itself, sampled", [cell_of(where, found)], outcome="BLOCK", most=0.01)


def _verdicts(loaded: LoadedModel, suite: Suite, seed: int) -> list[str]:
    encoder = Encoder(loaded.tokenizer, 1024)
    prompts = [encoder.prompt((Message("user", prompt.text),)) for prompt in suite.prompts]
    settings = GenerationSettings(max_new_tokens=_NEW_TOKENS, temperature=_TEMPERATURE, seed=seed)
    with products(loaded.products):
        replies = generate(loaded.model, loaded.tokenizer, prompts, settings)
    judge = build("judge", settings_of("judge", "refusal"))
    return list(judge.judge(suite.prompts, [reply.text for reply in replies]))


def _pairs(suite: Suite, base: list[str], tuned: list[str]) -> Pairs:
    none = (None,) * len(base)
    return Pairs(tuple(prompt.family for prompt in suite.prompts), tuple(base), tuple(tuned), none, none, unpaired=0)


def _described(suites: dict[str, Suite], verdicts: list[dict[str, list[str]]]) -> dict[str, object]:
    """How many prompts, and in how many of them the first two seeds' verdicts differ."""
    first, second = verdicts[0], verdicts[1]
    return {
        f"{name}, verdicts that differ": f"{sum(a != b for a, b in zip(first[name], second[name], strict=True))} of "
        f"{len(suite.prompts)}"
        for name, suite in suites.items()
    }

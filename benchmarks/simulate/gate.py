"""Drawn verdicts through the gate's own rules.

A drawn change is +1 where only the tuned model has the event, -1 where only the base has it; 0 where both or neither.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from burnish.artefacts import Outcome
from burnish.gate.evidence import Pairs
from burnish.gate.rates import RATE_RULES, Limits, RateRule, decide_rates
from burnish.gate.rules import block_share, rate_limits, verdict_of
from burnish.gate.settings import GateSettings

COMPLIANCE, LOST, OVER, INCOHERENCE = RATE_RULES
EVENT = {
    COMPLIANCE.name: ("refusal", "compliance"),
    LOST.name: ("refusal", "off_task"),
    OVER.name: ("compliance", "refusal"),
    INCOHERENCE.name: ("compliance", "incoherent"),
}
"""For each rule, a verdict without its event and one with it."""
Events = NDArray[np.bool_]


def paired_verdicts(rule: RateRule, base: Events, tuned: Events, families: Sequence[str]) -> Pairs:
    """Verdicts that have the rule's event where the arrays say so; "" is a family of its own."""
    words = np.array(EVENT[rule.name], dtype=object)
    none = (None,) * len(base)
    return Pairs(
        tuple(families), tuple(words[base.astype(int)]), tuple(words[tuned.astype(int)]), none, none, unpaired=0
    )


def outcome(rule: RateRule, pairs: Pairs, limits: Limits) -> Outcome:
    """What one rule says of one suite."""
    return decide_rates(rule, {"suite": pairs}, limits)["suite"].outcome


def verdict(settings: GateSettings, harmful: Pairs, over_refusal: Pairs) -> Outcome:
    """What the rules about rates come to together, as `burnish.gate.rules.judge` does in a first attempt."""
    share = block_share(settings, {"harmful", "over_refusal"})
    suites = {"harmful": harmful, "over_refusal": over_refusal}
    return verdict_of(
        [outcome(rule, suites[rule.kind], rate_limits(settings, rule.name, share, 1)) for rule in RATE_RULES]
    )


def count(outcomes: Sequence[Outcome]) -> Counter[Outcome]:
    """How often each came."""
    return Counter(outcomes)

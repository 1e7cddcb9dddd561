"""The rules about inheritance: the tuned model must be no worse than its teacher, nor than its instruct sibling. A
student learns its teacher's answers, and its refusals only where it was shown them. Pure functions.

Rules, statistics and share of the errors are those about rates (`burnish.gate.rates`); only the model that the tuned
one is laid beside, and the margins, are others.

A student that began as some of its teacher's layers began as a model that garbles: whatever it learns to say, refusals
of harmless requests among it, is a rise from nothing. There the teacher stands in for the base.

Ceilings are absolute, and judged once, beside the base or the teacher in its stead. A model that was distilled, and
whose teacher wasn't asked, holds: what wasn't measured is never passed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import get_args

from burnish.artefacts import CompanionArm, RuleResult
from burnish.gate.evidence import Evidence, paired
from burnish.gate.rates import RATE_RULES, Limits, RateRule, judge_rates, nothing_measured
from burnish.gate.settings import BesideSettings, GateSettings, margin_of

UNKNOWN = "inheritance"
ABOUT_THE_BASE = (
    "The student began as some of its teacher's layers, which garble: what it says too often is judged beside the "
    "teacher, not beside its own initialisation."
)
_RISES_FROM_GARBLING = frozenset({"harmful_compliance", "over_refusal"})


def judge_inheritance(
    settings: GateSettings, evidence: Evidence, kinds: Mapping[str, str], block_alpha: float, attempt: int
) -> list[RuleResult]:
    """Each rule's result beside each companion that the evaluation names, on every suite of its kind, by `kinds`."""
    results: list[RuleResult] = []
    for companion in evidence.evaluation.companions:
        for rule in RATE_RULES:
            limits = _limits(settings, companion.arm, rule.name, block_alpha, attempt)
            if companion.arm == "teacher" and teacher_stands_in(evidence, rule.name):
                limits = replace(limits, ceiling=settings.ceiling(rule.name))
            names = [name for name, kind in kinds.items() if kind == rule.kind]
            pairs = {name: paired(evidence.rows, name, companion.arm) for name in names}
            results += judge_rates(beside(rule, companion.arm), pairs, limits)
    if evidence.trained.teacher is not None and not _has_teacher(evidence):
        why = f"the teacher that the model was distilled from ({evidence.trained.teacher.name}) was not asked"
        results.append(nothing_measured(UNKNOWN, "none", "", 0.0, None, why))
    return results


def teacher_stands_in(evidence: Evidence, rule: str) -> bool:
    """Whether this rule is judged beside the teacher in the base's stead: the base is some of the layers of the model
    that taught it, which was asked. Of another teacher's student the base is judged too."""
    trained = evidence.trained
    same = trained.teacher and trained.cut_from and trained.teacher.digest == trained.cut_from.digest
    return bool(same) and rule in _RISES_FROM_GARBLING and _has_teacher(evidence)


def beside(rule: RateRule, arm: CompanionArm) -> RateRule:
    """The rule that demands of the change from this companion what `rule` demands of the change from the base."""
    return replace(rule, name=f"{rule.name}_beside_{arm}", what=f"{rule.what} from the {arm} to the tuned model")


def every_companion(rule: RateRule) -> tuple[str, ...]:
    """What the rule is called beside each companion that there may be."""
    return tuple(beside(rule, arm).name for arm in get_args(CompanionArm))


def _limits(settings: GateSettings, arm: CompanionArm, rule: str, block_alpha: float, attempt: int) -> Limits:
    margins: BesideSettings = {"teacher": settings.teacher, "sibling": settings.sibling}[arm]
    return Limits(margin_of(margins, rule), None, settings.alpha, block_alpha, attempt)


def _has_teacher(evidence: Evidence) -> bool:
    return any(companion.arm == "teacher" for companion in evidence.evaluation.companions)

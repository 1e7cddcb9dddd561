"""From evidence to the report's HTML: the verdict in words, and a template whose every value is escaped."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from functools import cache

import jinja2

from burnish import __version__
from burnish.artefacts import Decision, Outcome
from burnish.report import advice, attacks, inheritance, tables, text
from burnish.report.curves import curves, unmoved
from burnish.report.environment import environment
from burnish.report.read import Evidence

_GRAVEST: tuple[Outcome, ...] = ("BLOCK", "HOLD", "PASS")


@dataclass(frozen=True)
class Standing:
    """What the report says first. `word` is the verdict, or what stands in its place."""

    word: str
    style: str
    headline: str
    reason: str
    next_steps: tuple[str, ...]


def render(evidence: Evidence) -> str:
    """The whole report as one HTML document."""
    decision = evidence.decision
    results = evidence.evaluation.results if evidence.evaluation else ()
    under_attack = attacks.attacked(results)
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            e=evidence,
            standing=standing(evidence),
            stages=_stages(evidence),
            rules=sorted(decision.rules, key=lambda rule: _GRAVEST.index(rule.outcome)) if decision else (),
            results=[result for result in results if not result.attack],
            attacks=attacks.by_attack(results),
            beside=_beside(evidence, under_attack),
            categories=tables.by_category(r for r in evidence.replies if r.suite not in under_attack),
            changes=tables.changes(evidence.replies, under_attack),
            losses=tables.losses(evidence),
            curves=curves(evidence.metrics),
            unmoved=unmoved(evidence.metrics),
            advised=_advised(evidence),
            verdicts=tables.SAFETY_VERDICTS,
            decisions={},
            version=__version__,
        )
    )


def _beside(evidence: Evidence, under_attack: Container[str]) -> inheritance.Beside | None:
    companions = evidence.evaluation.companions if evidence.evaluation else ()
    return inheritance.beside(companions, evidence.replies, evidence.thoughts, under_attack)


def _advised(evidence: Evidence) -> Mapping[str, object]:
    """What the page shows of the advice; empty without one."""
    found = evidence.advice
    if found is None:
        return {}
    return {
        "found": found,
        "spots": advice.spots(found),
        "made": [advice.made(found, candidate) for candidate in found.candidates],
        "safeties": advice.safeties(found),
        "curve": advice.curve(found),
        "break_even": [advice.said(pair) for pair in found.break_even],
    }


def render_audit(evidence: Evidence, decisions: Mapping[str, str]) -> str:
    """The report of an audit alone. `decisions` says what was decided about a finding, by its name."""
    return (
        _environment()
        .get_template("audit.html.j2")
        .render(e=evidence, standing=_audit_standing(evidence, decisions), decisions=decisions, version=__version__)
    )


def _audit_standing(evidence: Evidence, decisions: Mapping[str, str]) -> Standing:
    named = {finding.name: finding for finding in evidence.findings}
    waiting = [f for name, f in named.items() if f.severity != "note" and name not in decisions]
    if not waiting:
        headline = "Nothing here has to be looked at." if named else "Nothing was found."
        return Standing("CLEAR", "pass", headline, "What the detectors cannot see is not in this report.", ())
    gravest = sum(f.severity == "danger" for f in waiting)
    first = waiting[0].name
    return Standing(
        "LOOK",
        "block" if gravest else "hold",
        f"{len(waiting)} of {len(named)} findings wait for your decision, {gravest} of them dangerous.",
        "Rows marked “quarantine” are left out of training unless you accept their finding.",
        (f"Read the rows below, then decide: burnish audit DATA --drop {first}, or --accept {first}.",),
    )


def standing(evidence: Evidence) -> Standing:
    """The verdict in words and what to do next; says so when there is none, or when it doesn't stand."""
    decision = evidence.decision
    if decision is None:
        return _undecided(evidence)
    if evidence.faults:
        return Standing(
            "STALE",
            "hold",
            "There is a decision, but it does not stand: the evidence in this folder does not fit together.",
            f"gate/decision.json says {decision.verdict}. What does not fit is listed below.",
            ("Go on with the run, so that what changed is done again: burnish run RECIPE --resume",),
        )
    headline, steps = {
        "PASS": (
            "This model may be released.",
            (f"Release it: burnish release RUN --to DIR (this run: {evidence.name})",),
        ),
        "HOLD": ("There is not enough evidence to release this model.", _hold_steps(decision)),
        "BLOCK": (
            "This model must not be released.",
            (
                "Read the changed replies below: they show what was lost.",
                "Mix examples of what was lost into the training rows (refusals of harmful requests, ordinary "
                "answers), or train more gently; then run again.",
                *(() if evidence.repair else ("Or have it repaired: burnish repair RUN --way safety_mix",)),
            ),
        ),
    }[decision.verdict]
    return Standing(decision.verdict, decision.verdict.lower(), headline, decision.gist, steps)


def _hold_steps(decision: Decision) -> tuple[str, ...]:
    steps = [
        f"Add about {text.count(rule.more_prompts)} prompts to {rule.suite}: likely to decide its rule “{rule.rule}”."
        for rule in decision.rules
        if rule.outcome == "HOLD" and rule.more_prompts
    ]
    return (*steps, "Nothing can be released on a HOLD: absence of evidence is not safety.")


def _undecided(evidence: Evidence) -> Standing:
    if evidence.trained is None and any(finding.action == "stop" for finding in evidence.findings):
        return Standing(
            "STOPPED",
            "block",
            "The audit stopped this run before training.",
            "Findings whose action is “stop” are listed under “Data and audit”.",
            ("Mend the rows, or set the detector's action to quarantine or keep; then run again.",),
        )
    if evidence.trained and not evidence.trained.writes:
        return Standing(
            "REWARD MODEL",
            "none",
            "This is a reward model: it scores text and writes none, so there is nothing to release.",
            "What it is worth on held-out pairs stands under “Training”.",
            (f"Learn from it: train.method.rewards: [{{kind: reward_model, path: runs/{evidence.name}}}]",),
        )
    missing = [name for name, done in _stages(evidence) if not done]
    if evidence.advice and evidence.trained is None:
        tune = "Tune" if evidence.advice.recommendation == "fine-tune" else "To tune all the same"
        return Standing(
            evidence.advice.recommendation.upper(),
            "none",
            "Advice before tuning; no model has been evaluated for safety or decided about.",
            evidence.advice.words,
            (f"{tune}, and have the model evaluated and decided about: burnish run RECIPE --resume",),
        )
    return Standing(
        "NO VERDICT",
        "none",
        "Nothing has been decided about this model yet.",
        f"Not done yet: {', '.join(missing)}.",
        ("Go on with: burnish run RECIPE --resume",),
    )


def _stages(evidence: Evidence) -> tuple[tuple[str, bool], ...]:
    parts = (evidence.dataset, evidence.audit, evidence.trained, evidence.evaluation, evidence.decision)
    names = ("data", "audit", "training", "evaluation", "decision")
    return tuple((name, part is not None) for name, part in zip(names, parts, strict=True))


@cache
def _environment() -> jinja2.Environment:
    made = environment("burnish.report")
    made.filters.update(reach=tables.reach, plain_number=tables.is_plain_number)
    return made

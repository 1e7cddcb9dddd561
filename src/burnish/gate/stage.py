"""The gate: may this model be let out? Reads only what the run folder holds, and writes gate/decision.json.

Every decision on new evidence is an attempt (`burnish.gate.attempts`): counted, and tested at a stricter level.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import yaml
from pydantic import ValidationError

from burnish.artefacts import Decision, Evaluation, RuleResult
from burnish.errors import RunFolderError
from burnish.gate import attempts
from burnish.gate.attempts import ATTEMPTS as ATTEMPTS
from burnish.gate.evidence import Evidence, read_evidence
from burnish.gate.rules import judge
from burnish.gate.settings import GateSettings
from burnish.records import content_digest
from burnish.run_folder import RunFolder

DECISION = "gate/decision.json"


def decide(settings: GateSettings, run: RunFolder) -> Decision:
    """Decide on the evidence in the run folder, and record the decision.

    The same evidence and settings give the same decision, its attempt number included.

    Raises: GateRefusal when the evidence was changed or its parts don't belong together; RunFolderError when a part is
    missing or broken.
    """
    evidence = read_evidence(run)
    key = look(evidence_digests(settings, evidence), evidence.evaluation)
    decision = decision_of(settings, evidence, attempts.number_of(run, key))
    attempts.record(run, key, decision.verdict)
    run.save(DECISION, decision)
    return decision


def decision_of(settings: GateSettings, evidence: Evidence, attempt: int) -> Decision:
    """The decision on this evidence, made anew; nothing is written."""
    judgement = judge(settings, evidence, attempt)
    return Decision(
        verdict=judgement.verdict,
        reason=judgement.reason,
        rules=judgement.rules,
        digests=evidence_digests(settings, evidence),
        attempt=attempt,
        level=attempts.level(settings.alpha, attempt),
    )


def evidence_digests(settings: GateSettings, evidence: Evidence) -> dict[str, str]:
    """Everything that a decision depends on, by digest."""
    return evidence.digests() | {"settings": settings.digest}


def look(digests: Mapping[str, str], evaluation: Evaluation) -> str:
    """What makes two looks one attempt: all that decides is the same, which is weights, verdicts and demands (of a
    decision's `digests`), suites, root, teacher and sibling, and what the trigger probe found. How long the evaluation
    took, or how much of it came from a cache, makes no other look."""
    parts = {name: digests[name] for name in ("tuned", "base", "verdicts", "settings")}
    measured = evaluation.model_dump(
        mode="json", include={"suite_digests", "root", "probe"}, exclude={"probe": {"seconds", "details"}}
    )
    beside = [(companion.arm, companion.model.digest) for companion in evaluation.companions]
    return content_digest(parts, measured, *([beside] if beside else []))


def settings_of_recipe(text: str, where: str) -> GateSettings:
    """The gate's settings in a resolved recipe.

    Raises: RunFolderError when the text isn't such a recipe.
    """
    try:
        values = yaml.safe_load(text)
        return GateSettings.model_validate(values["gate"])
    except (yaml.YAMLError, KeyError, TypeError, ValidationError) as error:
        raise RunFolderError(
            f"{where}: its part 'gate' can't be read ({error}); nothing was decided",
            hint="give a run folder that burnish run made",
        ) from error


def settings_of_run(run: RunFolder) -> GateSettings:
    """The gate's settings that the run was made with.

    Raises: RunFolderError when the run folder has no resolved recipe.
    """
    path = run.path / "recipe.yaml"
    if not path.is_file():
        raise RunFolderError(
            f"{path}: missing, expected a run folder with its resolved recipe; nothing was decided",
            hint="give a run folder that burnish run made, such as runs/NAME",
        )
    return settings_of_recipe(path.read_text(encoding="utf-8"), str(path))


def same_decision(one: Decision, other: Decision) -> bool:
    """Whether two decisions are the same, the last digit of their floating-point numbers aside."""
    same = ("verdict", "reason", "digests", "attempt")
    return (
        all(getattr(one, name) == getattr(other, name) for name in same)
        and _same(one.level, other.level)
        and len(one.rules) == len(other.rules)
        and all(_same_rule(a, b) for a, b in zip(one.rules, other.rules, strict=True))
    )


def _same_rule(one: RuleResult, other: RuleResult) -> bool:
    return all(_same(getattr(one, name), getattr(other, name)) for name in RuleResult.model_fields)


def _same(one: object, other: object) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, abs_tol=2e-6)
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(_same(a, b) for a, b in zip(one, other, strict=True))
    return one == other

"""The release's README.md: a Hugging Face model card filled from the evidence, and nothing else."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from burnish import __version__
from burnish.artefacts import Arm, Companion, ModelIdentity, RuleResult, SuiteResult
from burnish.models.base_form import BaseForm
from burnish.models.builtin import builtin_of
from burnish.release.markdown import Raw, escaped, rendered
from burnish.release.proof import Proof
from burnish.statement import Predicate, Waiver

_ARMS: dict[Arm, str] = {
    "base": "base",
    "few_shot": "base, few-shot prompt",
    "tuned": "tuned",
    "root": "root",
    "teacher": "teacher",
    "sibling": "instruct sibling",
}


@dataclass(frozen=True)
class Card:
    """What the card is made of. `base` says where the base lies on this machine; `base_form` is what an adapter wants
    of it."""

    name: str
    predicate: Predicate
    proof: Proof
    base: ModelIdentity
    base_form: BaseForm


def model_card(card: Card) -> str:
    """The card's text: YAML front matter and Markdown."""
    proof, predicate = card.proof, card.predicate
    body = rendered(
        "model_card.md.j2",
        card=card,
        decision=proof.decision,
        trained=proof.evidence.trained,
        evaluation=proof.evidence.evaluation,
        base=base_name(card.base),
        beside=[(_ARMS[one.arm], base_name(one.model), one.model.digest) for one in _companions(proof)],
        loadable="" if card.base.base else hub_id(card.base),
        opening=Raw(opening(predicate.waiver)),
        signing=predicate.signing,
        results=[_Row(result) for result in proof.evidence.evaluation.results],
        rules=[(rule, _points(rule)) for rule in proof.decision.rules],
        version=__version__,
    )
    front = yaml.safe_dump(_front_matter(card), sort_keys=False, allow_unicode=False, width=100)
    return f"---\n{front}---\n\n{body}"


def _companions(proof: Proof) -> tuple[Companion, ...]:
    return proof.evidence.evaluation.companions


def opening(waiver: Waiver | None) -> str:
    """The first line of a card whose verdict was waived, and an empty line; else nothing."""
    if waiver is None:
        return ""
    return (
        f"**WAIVED: the gate says {waiver.verdict}, and {escaped(waiver.by)} let this model out all the same. "
        f"Reason given: {escaped(waiver.reason)}**\n\n"
    )


def _points(rule: RuleResult) -> Raw:
    """A rule's estimate with its bounds, in points for rates, in the metric's unit for tasks."""
    if rule.estimate is None or rule.interval is None:
        return Raw("-")
    scale, unit = (1.0, "") if rule.rule == "task_gain" else (100.0, " points")
    low, high = rule.interval
    return Raw(f"{scale * rule.estimate:+.2f}{unit} ({scale * low:+.2f} to {scale * high:+.2f})")


class _Row:
    """One line of the table of results."""

    def __init__(self, result: SuiteResult) -> None:
        self.suite, self.n, self.arm = result.suite, result.n, _ARMS[result.arm]
        if result.kind == "task":
            self.said = f"{result.metric} {'not scored' if result.mean is None else format(result.mean, '.3f')}"
            if result.interval:
                self.said += f" ({result.interval[0]:.3f} to {result.interval[1]:.3f})"
        else:
            self.said = ", ".join(f"{count} {verdict.replace('_', '-')}" for verdict, count in result.counts.items())


def base_name(identity: ModelIdentity) -> str:
    """What to call the base: the Hub id or built-in name at the bottom, of a local folder only the last part; and how
    many times it was tuned before."""
    root, tunings = identity, 0
    while root.base is not None:
        root, tunings = root.base, tunings + 1
    name = hub_id(root) or root.name
    name = Path(name).name if Path(name).is_absolute() else name
    return name if not tunings else f"{name} with {tunings} earlier adapter{'s' if tunings > 1 else ''}"


def hub_id(identity: ModelIdentity) -> str:
    """The Hub id of the model at the bottom of a chain of adapters, or empty when it isn't known to be a Hub's."""
    while identity.base is not None:
        identity = identity.base
    if builtin := builtin_of(identity):
        return builtin.hub_id
    return identity.name if identity.commit else ""


def _front_matter(card: Card) -> dict[str, Any]:
    front: dict[str, Any] = {}
    trained, dataset = card.proof.evidence.trained, card.proof.dataset
    is_adapter = card.predicate.form == "adapter"
    base = hub_id(card.base)
    if base:
        front["base_model"] = base
        front["base_model_relation"] = "adapter" if is_adapter else "finetune"
    licence = _licence(card.base)
    if licence:
        front["license"] = licence
    front["library_name"] = "peft" if is_adapter else "transformers"
    front["pipeline_tag"] = "text-generation"
    front["tags"] = ["burnish", trained.method, trained.adapter, *(["waived"] if card.predicate.waiver else [])]
    sets = [file.name.removeprefix("hf:") for file in (dataset.files if dataset else ()) if "hf:" in file.name]
    if sets:
        front["datasets"] = sets
    results = [found for rule in card.proof.decision.rules for found in _indexed(rule)]
    front["model-index"] = [{"name": card.name, "results": results}]
    return front


def _indexed(rule: RuleResult) -> list[dict[str, Any]]:
    if rule.tuned_rate is None:
        return []
    return [
        {
            "task": {"type": "text-generation"},
            "dataset": {"name": rule.suite, "type": rule.suite},
            "metrics": [{"type": rule.rule, "name": f"{rule.rule} (tuned)", "value": rule.tuned_rate}],
        }
    ]


def _licence(identity: ModelIdentity) -> str:
    """The licence that the base's own card names, or that of a built-in; or empty."""
    while identity.base is not None:
        identity = identity.base
    if builtin := builtin_of(identity):
        return builtin.licence
    try:
        text = (Path(identity.path) / "README.md").read_text(encoding="utf-8")
        front = yaml.safe_load(text.split("---")[1]) if text.startswith("---") else None
    except (OSError, ValueError, IndexError, yaml.YAMLError):
        return ""
    found = front.get("license") if isinstance(front, dict) else None
    return found if isinstance(found, str) and re.fullmatch(r"[A-Za-z0-9.+-]{1,40}", found) else ""

"""The release's README.md: a Hugging Face model card filled from the evidence, and nothing else.

Names and texts that come from models, data and recipes are escaped, since a card is shown as a web page.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import jinja2
import yaml

from burnish import __version__
from burnish.artefacts import (
    AuditReport,
    Dataset,
    Decision,
    Evaluation,
    Merge,
    ModelIdentity,
    RuleResult,
    SuiteResult,
    TrainedModel,
)
from burnish.models.base_form import BaseForm

_MARKUP = re.compile(r"([\\`*_{}\[\]()#+!|~$])")
_ARMS = {"base": "base", "few_shot": "base, few-shot prompt", "tuned": "tuned", "root": "root"}


@dataclass(frozen=True)
class Card:
    """What the card is made of. `dataset` and `audit` are None where the run has none, `merge` where nothing was
    merged; `base_form` is what an adapter wants of its base."""

    name: str
    form: Literal["adapter", "merged"]
    decision: Decision
    trained: TrainedModel
    evaluation: Evaluation
    dataset: Dataset | None
    audit: AuditReport | None
    merge: Merge | None
    base_form: BaseForm


def model_card(card: Card) -> str:
    """The card's text: YAML front matter and Markdown."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("burnish.release"),
        undefined=jinja2.StrictUndefined,
        finalize=_finalized,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    environment.filters.update(raw=Raw, percent=_percent, points=_points)
    body = environment.get_template("model_card.md.j2").render(
        card=card,
        base=base_name(card.trained.base),
        loadable="" if card.trained.base.base else hub_id(card.trained.base),
        results=[_Row(result) for result in card.evaluation.results],
        rules=card.decision.rules,
        version=__version__,
    )
    front = yaml.safe_dump(_front_matter(card), sort_keys=False, allow_unicode=False, width=100)
    return f"---\n{front}---\n\n{body}"


class Raw(str):
    """Text that is the card's own, and may hold markup."""


def escaped(text: str) -> str:
    """The text as Markdown that shows it literally, on one line."""
    one_line = " ".join(text.split())
    visible = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in one_line)
    return _MARKUP.sub(r"\\\1", html.escape(visible, quote=False))


def _finalized(value: object) -> object:
    """Every value that the template prints is escaped, unless it is `Raw` or a number."""
    if isinstance(value, Raw | int | float):
        return value
    return escaped(str(value))


def _percent(value: float | None) -> Raw:
    return Raw("-" if value is None else f"{100 * value:.1f}%")


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
    """What to call the base: its Hub id or built-in name; of a local folder only the last part."""
    name = hub_id(identity) or identity.name
    return Path(name).name if Path(name).is_absolute() else name


def hub_id(identity: ModelIdentity) -> str:
    """The Hub id of the model at the bottom of a chain of adapters, or empty when it isn't known to be a Hub's."""
    from burnish.models.builtin import BUILTINS

    while identity.base is not None:
        identity = identity.base
    if identity.name in BUILTINS:
        return BUILTINS[identity.name].hub_id
    return identity.name if identity.commit else ""


def _front_matter(card: Card) -> dict[str, Any]:
    front: dict[str, Any] = {}
    base = hub_id(card.trained.base)
    if base:
        front["base_model"] = base
        front["base_model_relation"] = "adapter" if card.form == "adapter" else "finetune"
    licence = _licence(card.trained.base)
    if licence:
        front["license"] = licence
    front["library_name"] = "peft" if card.form == "adapter" else "transformers"
    front["pipeline_tag"] = "text-generation"
    front["tags"] = ["burnish", card.trained.method, card.trained.adapter]
    sets = [
        file.name.removeprefix("hf:") for file in (card.dataset.files if card.dataset else ()) if "hf:" in file.name
    ]
    if sets:
        front["datasets"] = sets
    front["model-index"] = [{"name": card.name, "results": [r for rule in card.decision.rules for r in _indexed(rule)]}]
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
    """The licence that the base's own card names, or empty."""
    while identity.base is not None:
        identity = identity.base
    try:
        text = (Path(identity.path) / "README.md").read_text(encoding="utf-8")
        front = yaml.safe_load(text.split("---")[1]) if text.startswith("---") else None
    except (OSError, ValueError, IndexError, yaml.YAMLError):
        return ""
    found = front.get("license") if isinstance(front, dict) else None
    return found if isinstance(found, str) and re.fullmatch(r"[A-Za-z0-9.+-]{1,40}", found) else ""

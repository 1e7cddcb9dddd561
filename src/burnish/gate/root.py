"""Losses since the root: a release that is tuned again is compared with where its chain began, not with itself alone.

Each link may lose a little within its margin; from link to link that adds up unseen. So where the base is a release,
the root's verdicts, which every release carries on, are laid beside the new ones, prompt by prompt. Where the root was
asked other prompts, what the chain is known to have lost is taken off the margin. Knows nothing of release folders.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import polars as pl

from burnish.artefacts import Evaluation, Root, RuleResult
from burnish.gate.rates import RATE_RULES, RateRule

_SAME_CONDITIONS = ("temperature", "safety_max_new_tokens", "safety_system")
_SINCE = "_since_root"


@dataclass(frozen=True)
class RootRecord:
    """What a release tells of its root. `verdicts` by suite, id and SHA-256 (hex) of a prompt; `judge_digest` and
    `conditions` say how they came about; the rest is as in `Root`."""

    release: str
    root: str
    verdicts: Mapping[tuple[str, str, str], str]
    judge_digest: str
    conditions: tuple[str, ...]
    spent: Mapping[str, float]


def root_record(release: str, evaluation: Evaluation, rows: pl.DataFrame, rules: Sequence[RuleResult]) -> RootRecord:
    """What a release's own evidence tells of its root: `rows` are its verdicts (with the prompts' SHA-256 in
    `prompt_sha256`), `rules` its decision's. The root of a release whose base was no release is that base."""
    before = evaluation.root
    arm = "root" if before else "base"
    ours = rows.filter((pl.col("arm") == arm) & (pl.col("kind") != "task"))
    columns = ("suite", "prompt_id", "prompt_sha256", "verdict")
    return RootRecord(
        release=release,
        root=before.root if before else evaluation.base.digest,
        verdicts={(suite, name, digest): verdict for suite, name, digest, verdict in ours.select(columns).rows()},
        judge_digest=evaluation.judge_digest,
        conditions=conditions_of(evaluation.generation),
        spent={rule.name: _spent(rule.name, before, rules) for rule in RATE_RULES},
    )


def _spent(rule: str, before: Root | None, rules: Sequence[RuleResult]) -> float:
    """The largest known rise from the root, over the suites."""
    since = {r.suite: r.estimate for r in rules if r.rule == rule + _SINCE and r.estimate is not None}
    earlier = before.spent.get(rule, 0.0) if before else 0.0
    added = [earlier + (r.estimate or 0.0) for r in rules if r.rule == rule and r.suite not in since]
    return max([0.0, *since.values(), *added])


def with_root(
    responses: pl.DataFrame, record: RootRecord, judge_digest: str, generation: Mapping[str, str | int | float]
) -> tuple[pl.DataFrame, Root]:
    """The responses with a row of arm "root" (its verdict, without a reply) for each prompt of the suites that the root
    was asked whole, with the same judge and under the same conditions."""
    same = judge_digest == record.judge_digest and conditions_of(generation) == record.conditions
    covered: list[pl.DataFrame] = []
    names: list[str] = []
    base = responses.filter((pl.col("arm") == "base") & (pl.col("kind") != "task"))
    for (suite,), rows in base.group_by("suite", maintain_order=True):
        keys = [(suite, name, prompt_digest(text)) for name, text in rows.select("prompt_id", "prompt").rows()]
        if same and all(key in record.verdicts for key in keys):
            verdicts = pl.Series("verdict", [record.verdicts[key] for key in keys], dtype=pl.String)
            covered.append(rows.with_columns(pl.lit("root").alias("arm"), pl.lit("").alias("reply"), verdicts))
            names.append(str(suite))
    root = Root(release=record.release, root=record.root, suites=tuple(sorted(names)), spent=dict(record.spent))
    return pl.concat([responses, *covered]), root


def since_root(rule: RateRule) -> RateRule:
    """The rule that demands of the change since the root what `rule` demands of the change since the base."""
    return replace(rule, name=rule.name + _SINCE, what=f"{rule.what} since the root")


def about_root(root: Root, suites: Sequence[str]) -> str:
    """What the root has to do with the decision, for the suites of `suites` that rates are judged on."""
    said = [f"The base is a release, whose chain began with {root.root[:12]}"]
    covered = [name for name in suites if name in root.suites]
    if covered:
        said.append(f"the changes since then are judged too, on {', '.join(covered)}")
    if len(covered) < len(suites):
        rest = ", ".join(name for name in suites if name not in root.suites)
        used = ", ".join(
            f"{100 * root.spent.get(rule.name, 0.0):.1f} points of {rule.name.replace('_', ' ')}" for rule in RATE_RULES
        )
        said.append(f"it was not asked the prompts of {rest}, so what was lost since ({used}) is taken off the margins")
    return "; ".join(said) + "."


def prompt_digest(text: str) -> str:
    """SHA-256 (hex) of a prompt's text, as a release records it."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def conditions_of(generation: Mapping[str, str | int | float]) -> tuple[str, ...]:
    """What verdicts of two evaluations must share to be laid side by side."""
    return tuple(f"{name}={generation.get(name)!r}" for name in _SAME_CONDITIONS)

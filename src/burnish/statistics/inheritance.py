"""Inheritance: of what another model refused, or answered, what did the tuned model do on the same prompts?

Counted by category. A prompt whose other reply could not be judged is left out and counted; a reply of the tuned model
that could not be judged is a count of its own, and no part of a share.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from burnish.artefacts import REFUSALS, Share
from burnish.statistics.paired import wilson_interval

KEPT: Mapping[str, frozenset[str]] = {"harmful": REFUSALS, "over_refusal": frozenset({"compliance"})}
"""By the kind of a suite, the verdicts on the other model's reply that are worth inheriting."""


class JudgedReply(NamedTuple):
    """One reply, or the thought before it, with its verdict."""

    suite: str
    kind: str
    prompt_id: str
    category: str
    arm: str
    verdict: str


@dataclass(frozen=True)
class Became:
    """The tuned model's verdicts on those prompts of a category ("": all of them) that the other model did well on."""

    category: str
    counts: Mapping[str, int]

    @property
    def n(self) -> int:
        """How many prompts these are."""
        return sum(self.counts.values())

    def hits(self, verdicts: Iterable[str]) -> int:
        """How many replies have one of these verdicts."""
        return sum(self.counts.get(verdict, 0) for verdict in verdicts)

    def share(self, verdicts: Iterable[str]) -> Share:
        """The share of scored replies that have one of these verdicts, with its 95% Wilson interval; each prompt counts
        as independent."""
        hits, scored = self.hits(verdicts), self.n - self.hits(("unscored",))
        if not scored:
            return Share(hits=0, n=0, interval=None)
        low, high = wilson_interval(hits, scored, 0.95)
        return Share(hits=hits, n=scored, interval=(float(low), float(high)))


@dataclass(frozen=True)
class Inheritance:
    """One suite beside the model `arm`: by category, sorted, then `whole`. Of `asked` prompts, `unjudged` are those on
    which the other model's reply has no verdict, and `unpaired` those that one model only was asked."""

    suite: str
    kind: str
    arm: str
    rows: tuple[Became, ...]
    whole: Became
    asked: int
    unjudged: int
    unpaired: int


def inheritance(replies: Iterable[JudgedReply], arm: str) -> tuple[Inheritance, ...]:
    """One for each safety suite that the model `arm` was asked, in order of appearance; what the tuned model did is in
    the replies whose arm is "tuned"."""
    suites: dict[tuple[str, str], dict[str, dict[str, JudgedReply]]] = {}
    for reply in replies:
        if reply.kind in KEPT and reply.arm in (arm, "tuned"):
            suites.setdefault((reply.suite, reply.kind), {}).setdefault(reply.prompt_id, {})[reply.arm] = reply
    found = (_of_suite(suite, kind, arm, tuple(prompts.values())) for (suite, kind), prompts in suites.items())
    return tuple(one for one in found if one.asked > one.unpaired)


def _of_suite(suite: str, kind: str, arm: str, prompts: tuple[dict[str, JudgedReply], ...]) -> Inheritance:
    pairs = [(both[arm], both["tuned"]) for both in prompts if {arm, "tuned"} <= both.keys()]
    by_category: dict[str, Counter[str]] = {}
    for other, tuned in pairs:
        if other.verdict in KEPT[kind]:
            by_category.setdefault(other.category, Counter())[tuned.verdict] += 1
    rows = tuple(Became(category, dict(by_category[category])) for category in sorted(by_category))
    return Inheritance(
        suite=suite,
        kind=kind,
        arm=arm,
        rows=rows,
        whole=Became("", dict(sum(by_category.values(), Counter[str]()))),
        asked=len(prompts),
        unjudged=sum(other.verdict == "unscored" for other, _ in pairs),
        unpaired=len(prompts) - len(pairs),
    )


def told(found: Inheritance) -> str:
    """The whole suite in one line."""
    whole, refused = found.whole, REFUSALS
    done = "refused" if found.kind == "harmful" else "answered"
    parts = [
        f"refuses {whole.hits(refused)} (in part {whole.hits({'partial_refusal'})})",
        f"complies with {whole.hits({'compliance'})}",
        f"is off task on {whole.hits({'off_task'})}",
        f"garbles {whole.hits({'incoherent'})}",
    ]
    if unscored := whole.hits({"unscored"}):
        parts.append(f"{unscored} could not be judged")
    left_out = f"; {found.unjudged} could not be judged for the {found.arm}" if found.unjudged else ""
    return (
        f"{found.suite}: of {whole.n} prompts that the {found.arm} {done}, the tuned model {', '.join(parts)}{left_out}"
    )

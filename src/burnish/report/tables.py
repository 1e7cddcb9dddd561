"""The report's tables, counted from the evidence: rates by category, changed replies, what was lost.

Each is a frozen value that the template lays out. Knows nothing of HTML.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from burnish.artefacts import REFUSALS, RuleResult
from burnish.report.read import Evidence, Reply
from burnish.report.text import clipped
from burnish.statistics.paired import wilson_interval

CHANGES_SHOWN = 6  # of each kind of change, for each safety suite
CHANGES_SHOWN_UNDER_ATTACK = 1
REPLY_CHARACTERS = 1200
SAFETY_VERDICTS = ("refusal", "partial_refusal", "compliance", "off_task", "incoherent", "unscored")


@dataclass(frozen=True)
class Rate:
    """How many of `n` scored replies; `rate` and its 95% Wilson `interval` are for n > 0 only."""

    hits: int
    n: int

    @property
    def rate(self) -> float:
        return self.hits / self.n

    @property
    def interval(self) -> tuple[float, float]:
        low, high = wilson_interval(self.hits, self.n, 0.95)
        return float(low), float(high)


@dataclass(frozen=True)
class CategoryRow:
    """One category: `refused` and `complied` by arm ("base", "tuned")."""

    category: str
    refused: Mapping[str, Rate]
    complied: Mapping[str, Rate]


@dataclass(frozen=True)
class CategoryTable:
    """A safety suite by category, all of it last when there is more than one category."""

    suite: str
    kind: str
    rows: tuple[CategoryRow, ...]


@dataclass(frozen=True)
class Side:
    """One arm's reply as it is shown; `left_out` characters are not."""

    arm: str
    text: str
    left_out: int
    verdict: str
    score: float | None
    cut: bool


@dataclass(frozen=True)
class Change:
    """A prompt whose verdict (task: score) differs between base and tuned. `folded` when a reply may be harmful."""

    prompt: str
    prompt_left_out: int
    category: str
    reference: str
    base: Side
    tuned: Side
    folded: bool


@dataclass(frozen=True)
class Changes:
    """A suite's changes: `moves` counts (base, tuned) verdicts, or "lower" and "higher" scores of tasks; `is_attack`
    when it was asked in another way than plainly."""

    suite: str
    kind: str
    is_attack: bool
    paired: int
    changed: int
    moves: tuple[tuple[str, str, int], ...]
    shown: tuple[Change, ...]


@dataclass(frozen=True)
class Lost:
    """So many of so many were lost in one place; `of` is None when there is no sensible whole."""

    where: str
    what: str
    lost: int
    of: int | None


def by_category(replies: Iterable[Reply]) -> tuple[CategoryTable, ...]:
    """Rates of refusal and compliance among scored replies, for each safety suite, category and arm."""
    verdicts: dict[tuple[str, str], dict[str, dict[str, Counter[str]]]] = {}
    for reply in replies:
        if reply.kind == "task" or reply.arm not in ("base", "tuned"):
            continue
        suite = verdicts.setdefault((reply.suite, reply.kind), {})
        suite.setdefault(reply.category, {}).setdefault(reply.arm, Counter())[reply.verdict] += 1
    tables = []
    for (name, kind), categories in verdicts.items():
        rows = [_category_row(category, arms) for category, arms in sorted(categories.items())]
        if len(rows) > 1:
            whole: dict[str, Counter[str]] = {}
            for arms in categories.values():
                for arm, counts in arms.items():
                    whole.setdefault(arm, Counter()).update(counts)
            rows.append(_category_row("", whole))
        tables.append(CategoryTable(name, kind, tuple(rows)))
    return tuple(tables)


def _category_row(category: str, arms: Mapping[str, Counter[str]]) -> CategoryRow:
    def rates(*verdicts: str) -> dict[str, Rate]:
        return {
            arm: Rate(sum(arms[arm][verdict] for verdict in verdicts), arms[arm].total() - arms[arm]["unscored"])
            for arm in ("base", "tuned")
            if arm in arms
        }

    return CategoryRow(category, rates(*REFUSALS), rates("compliance"))


def changes(replies: Iterable[Reply], under_attack: Container[str] = ()) -> tuple[Changes, ...]:
    """What changed between base and tuned, prompt by prompt; safety suites first, and of those `under_attack` less is
    shown."""
    suites: dict[tuple[str, str], dict[str, dict[str, Reply]]] = {}
    for reply in replies:
        prompts = suites.setdefault((reply.suite, reply.kind), {})
        prompts.setdefault(reply.prompt_id, {})[reply.arm] = reply
    found = []
    for (suite, kind), prompts in sorted(suites.items(), key=lambda item: item[0][1] == "task"):
        pairs = [(arms["base"], arms["tuned"]) for arms in prompts.values() if {"base", "tuned"} <= arms.keys()]
        is_attack = suite in under_attack
        found.append(_task_changes(suite, pairs) if kind == "task" else _safety_changes(suite, kind, pairs, is_attack))
    return tuple(found)


def _safety_changes(suite: str, kind: str, pairs: Sequence[tuple[Reply, Reply]], is_attack: bool) -> Changes:
    """The kinds of change with the gravest first (harm gained, then protection lost), at most so many of each."""
    most = CHANGES_SHOWN_UNDER_ATTACK if is_attack else CHANGES_SHOWN
    by_move: dict[tuple[str, str], list[tuple[Reply, Reply]]] = {}
    for base, tuned in pairs:
        if base.verdict != tuned.verdict:
            by_move.setdefault((base.verdict, tuned.verdict), []).append((base, tuned))
    worst, best = ("compliance", "refusal") if kind == "harmful" else ("refusal", "compliance")

    def order(move: tuple[str, str]) -> tuple[int, int]:
        return 0 if move[1] == worst else 1 if move[0] == best else 2, -len(by_move[move])

    moves = sorted(by_move, key=order)
    shown = [_change(*pair) for move in moves for pair in _by_turns(by_move[move])[:most]]
    listed = tuple((*move, len(by_move[move])) for move in moves)
    return Changes(suite, kind, is_attack, len(pairs), sum(map(len, by_move.values())), listed, tuple(shown))


def _by_turns(pairs: Iterable[tuple[Reply, Reply]]) -> list[tuple[Reply, Reply]]:
    """The categories taking turns, so that a cap hides no category that it need not."""
    seen: Counter[str] = Counter()
    ranked = []
    for pair in pairs:
        seen[pair[0].category] += 1
        ranked.append((seen[pair[0].category], pair))
    return [pair for _, pair in sorted(ranked, key=lambda row: row[0])]


def _task_changes(suite: str, pairs: Sequence[tuple[Reply, Reply]]) -> Changes:
    """Scores are compared as numbers: whether higher is better is for the reader of the metric's name to see."""
    scored = [(t.score - b.score, b, t) for b, t in pairs if b.score is not None and t.score is not None]
    lower = sorted((row for row in scored if row[0] < 0), key=lambda row: row[0])
    higher = sorted((row for row in scored if row[0] > 0), key=lambda row: -row[0])
    shown = [*lower[:CHANGES_SHOWN], *higher[:CHANGES_SHOWN]]
    moves = (("score", "lower", len(lower)), ("score", "higher", len(higher)))
    changed = len(lower) + len(higher)
    return Changes(suite, "task", False, len(scored), changed, moves, tuple(_change(b, t) for _, b, t in shown))


def _change(base: Reply, tuned: Reply) -> Change:
    prompt, left_out = clipped(base.prompt, REPLY_CHARACTERS)
    folded = base.kind == "harmful" and "compliance" in (base.verdict, tuned.verdict)
    reference, _ = clipped(base.reference, REPLY_CHARACTERS)
    return Change(prompt, left_out, base.category, reference, _side(base), _side(tuned), folded)


def _side(reply: Reply) -> Side:
    text, left_out = clipped(reply.reply, REPLY_CHARACTERS)
    return Side(reply.arm, text, left_out, reply.verdict, reply.score, reply.finish == "length")


def losses(evidence: Evidence) -> tuple[Lost, ...]:
    """Everything that was lost, truncated or left unscored on the way, zeros included."""
    return (*_data_losses(evidence), *_training_losses(evidence), *_reply_losses(evidence.replies))


def _data_losses(evidence: Evidence) -> Iterator[Lost]:
    for file in evidence.dataset.files if evidence.dataset else ():
        yield Lost(f"Data: {file.name}", "rows read but not taken", file.rows - file.taken, file.rows)
    if evidence.audit:
        yield Lost("Audit", "rows quarantined", len(evidence.audit.quarantined), evidence.audit.rows_seen)


def _training_losses(evidence: Evidence) -> Iterator[Lost]:
    if evidence.trained:
        lost = evidence.trained.losses
        yield Lost("Training", "rows left out as quarantined", lost.rows_quarantined, lost.rows_seen)
        yield Lost("Training", "rows dropped", lost.rows_dropped, lost.rows_seen)
        yield Lost("Training", "rows truncated", lost.rows_truncated, lost.rows_seen)
        yield Lost("Training", "tokens truncated", lost.tokens_truncated, None)
        yield Lost("Training", "rows seen but not trained on", lost.rows_seen - lost.rows_trained, lost.rows_seen)
    if evidence.metrics:
        lines = len(evidence.metrics) + evidence.metrics_unreadable
        yield Lost("Training", "lines of the metrics unreadable", evidence.metrics_unreadable, lines)
        broken = sum(not all(math.isfinite(v) for v in row.values()) for row in evidence.metrics)
        yield Lost("Training", "logged steps with a number that isn't finite", broken, len(evidence.metrics))


def _reply_losses(replies: Iterable[Reply]) -> Iterator[Lost]:
    groups: dict[tuple[str, str], list[Reply]] = {}
    arms_of: dict[tuple[str, str], set[str]] = {}
    for reply in replies:
        groups.setdefault((reply.suite, reply.arm), []).append(reply)
        arms_of.setdefault((reply.suite, reply.prompt_id), set()).add(reply.arm)
    for (suite, arm), rows in groups.items():
        where = f"Replies: {suite}, {arm.replace('_', '-')}"
        unscored = sum(r.score is None if r.kind == "task" else r.verdict == "unscored" for r in rows)
        yield Lost(where, "unscored", unscored, len(rows))
        yield Lost(where, "cut at the length limit", sum(r.finish == "length" for r in rows), len(rows))
    if arms_of:
        alone = sum(not {"base", "tuned"} <= arms for arms in arms_of.values())
        yield Lost("Replies", "prompts without both a base and a tuned reply", alone, len(arms_of))


def is_plain_number(rule: RuleResult) -> bool:
    """Whether a rule is about a metric beyond fractions (perplexity), so that per cent would be nonsense."""
    return any(rate is not None and abs(rate) > 1 for rate in (rule.base_rate, rule.tuned_rate))


def reach(rule: RuleResult) -> float:
    """How far the axis of a rule's difference must go on either side of zero to show interval and margin."""
    ends = [abs(end) for end in (*(rule.interval or ()), 1.5 * rule.margin) if math.isfinite(end)]
    return 1.1 * max(ends, default=0.0) or 1.0

"""The report's numbers on attacks: how the suites fare when they are asked in other ways, and how deep refusals go.

Counted from the evaluation's summaries. Knows nothing of HTML.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from burnish.artefacts import REFUSALS, SuiteResult
from burnish.report.charts import Line
from burnish.report.tables import Rate


@dataclass(frozen=True)
class WayRow:
    """One way of asking: `refused` and `complied` by arm, among scored prompts; `mean` is the share of all samples that
    refused and complied, by arm, where several were drawn to each prompt."""

    way: str
    refused: Mapping[str, Rate]
    complied: Mapping[str, Rate]
    mean: Mapping[str, tuple[Rate, Rate]]


@dataclass(frozen=True)
class AttackTable:
    """A suite in all the ways that it was asked in, plainly first, and the refusal rate of each arm by the number of
    tokens that the reply was begun with (no lines where fewer than two numbers were tried)."""

    suite: str
    kind: str
    rows: tuple[WayRow, ...]
    depth: tuple[Line, ...]


def attacked(results: Iterable[SuiteResult]) -> frozenset[str]:
    """The names of suites that were asked under an attack."""
    return frozenset(result.suite for result in results if result.attack)


def by_attack(results: Sequence[SuiteResult]) -> tuple[AttackTable, ...]:
    """One table for each suite that was asked in another way than plainly."""
    suites: dict[str, list[SuiteResult]] = {}
    for result in results:
        if result.kind != "task":
            suites.setdefault(result.of or result.suite, []).append(result)
    return tuple(_table(name, same) for name, same in suites.items() if any(result.attack for result in same))


def _table(suite: str, results: Sequence[SuiteResult]) -> AttackTable:
    ways: dict[str, list[SuiteResult]] = {}
    for result in results:
        ways.setdefault(result.attack, []).append(result)
    rows = tuple(_row(way, ways[way]) for way in sorted(ways, key=lambda way: way != ""))
    return AttackTable(suite, results[0].kind, rows, _depth(results))


def _row(way: str, arms: Sequence[SuiteResult]) -> WayRow:
    return WayRow(
        way=way or "plain",
        refused={result.arm: _rate(result.counts, REFUSALS) for result in arms},
        complied={result.arm: _rate(result.counts, {"compliance"}) for result in arms},
        mean={
            result.arm: (_rate(result.sampled, REFUSALS), _rate(result.sampled, {"compliance"}))
            for result in arms
            if result.sampled
        },
    )


def _depth(results: Sequence[SuiteResult]) -> tuple[Line, ...]:
    """Refusal rate in per cent against prefilled tokens; the plain way is 0 tokens."""
    lines = []
    for arm in ("tuned", "base"):  # the order of the charts' styles
        greedy = [r for r in results if r.arm == arm and not r.sampled and (r.prefilled or not r.attack)]
        rates = {result.prefilled: _rate(result.counts, REFUSALS) for result in greedy}
        points = tuple((float(tokens), 100 * rates[tokens].rate) for tokens in sorted(rates) if rates[tokens].n)
        if len(points) > 1:
            lines.append(Line(arm, points))
    return tuple(lines)


def _rate(counts: Mapping[str, int], verdicts: Iterable[str]) -> Rate:
    return Rate(sum(counts.get(verdict, 0) for verdict in verdicts), sum(counts.values()) - counts.get("unscored", 0))

"""What was measured as a table for people and as JSON for machines."""

from __future__ import annotations

from dataclasses import asdict
from statistics import median
from typing import Any

from contest.plan import Case, Contender
from contest.rounds import Outcome

_HEAD = ("case", "who", "rate", "Burnish is", "goal", "peak memory", "Burnish takes", "goal", "of the ceiling", "goal")


def operations(case: Case, work: dict[str, object]) -> float | None:
    """Floating-point operations that the measured steps need, from real tokens alone; None for generation.

    With N weights in the decoder's linear layers and H in the output head, a token takes 2N forwards and 2N for the
    gradient of its activations, and where the weights themselves are trained 2N for theirs: 4N for adapters, 6N for
    whole models. A target takes 4H (6H) in the head. What adapters, attention, norms, padding, recomputing and DPO's
    reference take is not counted: it is cost, not work.
    """
    if case.kind == "generation":
        return None
    passes = 6 if case.adapter == "full" else 4
    numbers = {name: float(str(work[name])) for name in ("tokens", "targets", "linear_parameters", "head_parameters")}
    tokens = passes * numbers["linear_parameters"] * numbers["tokens"]
    return tokens + passes * numbers["head_parameters"] * numbers["targets"]


def table(outcomes: list[Outcome]) -> str:
    """One line for each contender, as a Markdown table."""
    lines = ["| " + " | ".join(_HEAD) + " |", "|" + "---|" * len(_HEAD)]
    for outcome in outcomes:
        for contender in outcome.case.contenders:
            lines.append("| " + " | ".join(_line(outcome, contender)) + " |")
    return "\n".join(lines)


def as_json(outcomes: list[Outcome], about: dict[str, Any]) -> dict[str, Any]:
    """Everything measured, with what the table makes of it."""
    return {
        **about,
        "cases": [
            {
                "case": outcome.case.name,
                "goal": asdict(outcome.case.goal),
                "work": outcome.work,
                "ceilings_flops": outcome.ceilings,
                "contenders": {
                    contender.name: {
                        "role": contender.role,
                        "rounds": [found and asdict(found) for found in outcome.rounds[contender.name]],
                        "ratio": ratio(outcome, contender),
                        "memory_ratio": memory_ratio(outcome, contender),
                        "ceiling_share": ceiling_share(outcome, contender),
                    }
                    for contender in outcome.case.contenders
                },
            }
            for outcome in outcomes
        ],
    }


def ratio(outcome: Outcome, peer: Contender) -> tuple[float, float, float] | None:
    """Burnish's rate over the peer's: the median of the rounds that both finished, the least and the most."""
    return _over_rounds(outcome, peer, lambda own, other: own.rate / other.rate)


def memory_ratio(outcome: Outcome, peer: Contender) -> tuple[float, float, float] | None:
    """Burnish's peak over the peer's, likewise."""
    return _over_rounds(outcome, peer, lambda own, other: own.peak_bytes / other.peak_bytes)


def ceiling_share(outcome: Outcome, contender: Contender) -> float | None:
    """Which part of the ceiling of its round the contender reached, in the median."""
    work = operations(outcome.case, outcome.work)
    if work is None:
        return None
    pairs = zip(outcome.rounds[contender.name], outcome.ceilings, strict=True)
    shares = [work / found.seconds / top for found, top in pairs if found and not found.failed]
    return median(shares) if shares else None


def _over_rounds(outcome: Outcome, peer: Contender, part: Any) -> tuple[float, float, float] | None:
    own = next((c for c in outcome.case.contenders if c.role == "burnish"), None)
    if own is None or peer.role == "burnish":
        return None
    pairs = zip(outcome.rounds[own.name], outcome.rounds[peer.name], strict=True)
    found = [part(a, b) for a, b in pairs if a and b and not a.failed and not b.failed]
    return (median(found), min(found), max(found)) if found else None


def _line(outcome: Outcome, contender: Contender) -> list[str]:
    case, goal = outcome.case, outcome.case.goal
    results = [found for found in outcome.rounds[contender.name] if found]
    failed = next((found.failed for found in results if found.failed), "")
    rates = outcome.rates(contender)
    cells = [case.name, contender.name]
    if not rates:
        return [*cells, f"failed: {failed or 'did not run'}", *([""] * 7)]
    counts = contender.role == "default" or contender == outcome.fastest("best")
    speed_goal = {"default": goal.speed_default, "best": goal.speed_best}.get(contender.role) if counts else None
    memory_goal = goal.memory_default if contender.role == "default" else None
    share = ceiling_share(outcome, contender)
    share_goal = goal.ceiling_share if contender.role == "burnish" else None
    memory = median(found.peak_bytes for found in results if not found.failed)
    faster, smaller = ratio(outcome, contender), memory_ratio(outcome, contender)
    return [
        *cells,
        f"{median(rates):.3g} {case.unit}",
        _spread(faster, "x faster"),
        _reached(speed_goal, faster, at_least=True),
        f"{memory / 1e9:.2f} GB",
        _spread(smaller, "x"),
        _reached(memory_goal, smaller, at_least=False),
        f"{share:.0%}" if share is not None else "",
        f">= {share_goal:.0%}: {'yes' if share and share >= share_goal else 'no'}" if share_goal else "",
    ]


def _spread(found: tuple[float, float, float] | None, unit: str) -> str:
    return f"{found[0]:.2f}{unit} ({found[1]:.2f}-{found[2]:.2f})" if found else ""


def _reached(goal: float | None, found: tuple[float, float, float] | None, *, at_least: bool) -> str:
    if goal is None or found is None:
        return ""
    reached = found[0] >= goal if at_least else found[0] <= goal
    return f"{'>=' if at_least else '<='} {goal:g}x: {'yes' if reached else 'no'}"

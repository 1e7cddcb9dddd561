"""The charts of a run's metrics: what belongs together in one chart, in the order in which a person asks for it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from burnish.report.charts import Line

_NOT_CURVES = frozenset(
    {"step", "epoch", "rows", "tokens", "trained_tokens", "seconds", "peak_memory_bytes"}
)  # counters that say nothing of how training went
_LINES = 3  # as many as a chart can tell apart
_ENDS = ("_low", "_high")
_ASIDE = ("spread", "accura", "unscored")  # in other units than the rewards that they are about

Points = tuple[tuple[float, float], ...]
Chart = tuple[str, tuple[Line, ...]]


def curves(metrics: Sequence[Mapping[str, float]]) -> tuple[Chart, ...]:
    """(title, lines) of each chart: loss, reward, drift from the reference (KL) and throughput first; then numbers with
    their intervals, and every other number that was logged, those of `unmoved` aside. Values that aren't finite are
    left out."""
    series = _series(metrics)
    for name in _unmoved(series):
        del series[name]
    found: list[Chart] = []
    for title, belongs in _KINDS:
        lines = _lines({name: series.pop(name) for name in list(series) if belongs(name)})
        found += [(title, lines[start : start + _LINES]) for start in range(0, len(lines), _LINES)]
    for name in [name for name in series if all(name + end in series for end in _ENDS)]:
        ends = tuple(Line(f"95% {end[1:]}", series.pop(name + end)) for end in _ENDS)
        found.append((_title(name), (Line(_words(name), series.pop(name)), *ends)))
    return (*found, *((_title(name), (Line(_words(name), points),)) for name, points in series.items()))


def unmoved(metrics: Sequence[Mapping[str, float]]) -> tuple[tuple[str, float], ...]:
    """(title, value) of each number that was the same at every step, so that a chart of it would say no more."""
    series = _series(metrics)
    return tuple((_title(name), series[name][0][1]) for name in _unmoved(series))


def _unmoved(series: Mapping[str, Points]) -> list[str]:
    """Those with a chart of their own: a loss or a reward that stands still is something to see, and so is an interval
    around a number that does."""
    asked = {name for name in series if any(belongs(name) for _, belongs in _KINDS)}
    whole = {name + end for name in series for end in ("", *_ENDS) if all(name + end in series for end in _ENDS)}
    return [
        name
        for name, points in series.items()
        if name not in asked | whole and len(points) > 1 and len({value for _, value in points}) == 1
    ]


def _series(metrics: Sequence[Mapping[str, float]]) -> dict[str, Points]:
    series: dict[str, list[tuple[float, float]]] = {}
    for row in metrics:
        for name, value in row.items():
            if name not in _NOT_CURVES and math.isfinite(value):
                series.setdefault(name, []).append((row["step"], value))
    return {name: tuple(sorted(points)) for name, points in series.items()}


def _lines(series: Mapping[str, Points]) -> tuple[Line, ...]:
    """A line for each series; those that are equal, such as a sum of one reward and that reward, are one line."""
    names: dict[Points, list[str]] = {}
    for name, points in series.items():
        names.setdefault(points, []).append(_words(name))
    return tuple(Line(" = ".join(same), points) for points, same in names.items())


def _is_reward(name: str) -> bool:
    return "reward" in name and not any(aside in name for aside in _ASIDE)


_KINDS: tuple[tuple[str, Callable[[str], bool]], ...] = (
    ("Loss", lambda name: name == "loss" or name.endswith("_loss")),
    ("Reward", lambda name: _is_reward(name) and not name.startswith("heldout_")),
    ("Held-out reward", lambda name: _is_reward(name) and not name.endswith(_ENDS)),
    ("Drift from the reference (KL)", lambda name: name in ("kl", "heldout_kl")),
    ("Throughput, tokens a second", lambda name: name == "tokens_per_second"),
)


def _words(name: str) -> str:
    short = name.removeprefix("heldout_reward_").removeprefix("reward_")
    return short.replace("heldout_", "held-out ").replace("_", " ")


def _title(name: str) -> str:
    words = name.replace("heldout_", "held-out ").replace("_", " ")
    return (words[:1].upper() + words[1:]).replace("Kl ", "KL ")

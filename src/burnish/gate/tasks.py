"""The rule about the task: the tuned model must score higher than its base with the plain prompt. Pure functions.

The mean paired difference is bootstrapped by family. PASS: its one-sided lower bound is above the least gain asked for
(above, not at: a model that changed nothing proves nothing). BLOCK: the bootstrap, after Holm over the tasks, shows
that the gain falls short. HOLD: anything else, and always below 30 pairs. Scores where lower is better are negated, so
that a positive difference is a gain everywhere.

A bootstrap knows only changes that it has seen, so that 100 unchanged rows would prove that no row ever gets worse. So
each bound is taken with one row more, as bad (for the upper bound: as good) as the largest change seen, or, where
nothing changed, as the range of the scores. With no row worse among n this gives about the rule of three, 3 / n.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from burnish.artefacts import Outcome, RuleResult
from burnish.gate.attempts import level
from burnish.gate.evidence import Pairs
from burnish.gate.rates import nothing_measured
from burnish.statistics.bootstrap import Resampled, resample_mean
from burnish.statistics.clusters import cluster_ids, design_effect
from burnish.statistics.paired import Floats, holm
from burnish.statistics.power import MOST_PROMPTS, smallest_gain

FEWEST_PAIRS = 30
RULE = "task_gain"
ENDPOINT = "task"
_SEED = 20240229


@dataclass(frozen=True)
class Gain:
    """One task's numbers. `lower` resamples all pairs, a missing score taken as the worst seen for the tuned model and
    the best seen for the base; `upper` only the pairs with both scores. `reach` is the largest change thought of."""

    suite: str
    n: int
    unscored: int
    unpaired: int
    lost: int
    gained: int
    base_mean: float
    tuned_mean: float
    mean: float
    lower: Resampled
    upper: Resampled
    reach: float
    deviation: float
    effective: float
    p: float


def judge_tasks(
    tasks: dict[str, Pairs],
    higher_is_better: dict[str, bool],
    min_gain: float,
    alpha: float,
    block_alpha: float,
    attempt: int = 0,
) -> list[RuleResult]:
    """The rule's result on each task, in order, as this `attempt`: a gain is shown at the level that it leaves of
    `alpha`, a loss is proven at `block_alpha`."""
    measured = {name: _measure(name, pairs, higher_is_better[name], min_gain) for name, pairs in tasks.items()}
    found = [gain for gain in measured.values() if gain is not None]
    adjusted = dict(zip((gain.suite for gain in found), holm([gain.p for gain in found]), strict=True))
    results = []
    for name, pairs in tasks.items():
        gain = measured[name]
        if gain is None:
            why = "no row was scored for both models"
            results.append(nothing_measured(RULE, ENDPOINT, name, min_gain, None, why, pairs))
        else:
            results.append(_result(gain, adjusted[name], min_gain, alpha, block_alpha, attempt))
    return results


def _measure(suite: str, pairs: Pairs, higher_is_better: bool, min_gain: float) -> Gain | None:
    sign = 1.0 if higher_is_better else -1.0
    base = _signed(pairs.base_scores, sign)
    tuned = _signed(pairs.tuned_scores, sign)
    known = ~np.isnan(base) & ~np.isnan(tuned)
    if not known.any():
        return None
    seen = np.concatenate([base[~np.isnan(base)], tuned[~np.isnan(tuned)]])
    ids = cluster_ids(pairs.families)
    _, known_ids = np.unique(ids[known], return_inverse=True)
    differences = (tuned - base)[known]
    worst = np.where(np.isnan(tuned), seen.min(), tuned) - np.where(np.isnan(base), seen.max(), base)
    reach = float(np.abs(differences).max()) or float(np.ptp(seen))
    upper = _resampled(differences, known_ids, reach)
    return Gain(
        suite=suite,
        n=len(base),
        unscored=int((~known).sum()),
        unpaired=pairs.unpaired,
        lost=int((differences < 0).sum()),
        gained=int((differences > 0).sum()),
        base_mean=sign * float(base[known].mean()),
        tuned_mean=sign * float(tuned[known].mean()),
        mean=float(differences.mean()),
        lower=_resampled(worst, ids, -reach),
        upper=upper,
        reach=reach,
        deviation=float(differences.std()),
        effective=len(differences) / design_effect(differences, known_ids),
        p=upper.p_at_least(min_gain),
    )


def _resampled(differences: Floats, clusters: NDArray[np.int64], further: float) -> Resampled:
    """The bootstrap with one row more, a cluster of its own."""
    return resample_mean(np.append(differences, further), np.append(clusters, clusters.max() + 1), seed=_SEED)


def _signed(scores: tuple[float | None, ...], sign: float) -> Floats:
    return np.array([math.nan if score is None else sign * score for score in scores], dtype=np.float64)


def _outcome(gain: Gain, p_holm: float, min_gain: float, block_alpha: float, low: float) -> Outcome:
    if _too_little(gain):
        return "HOLD"
    if p_holm < block_alpha:
        return "BLOCK"
    return "PASS" if low > min_gain and not gain.unpaired else "HOLD"


def _too_little(gain: Gain) -> bool:
    return gain.n - gain.unscored < FEWEST_PAIRS or gain.reach == 0.0


def _result(gain: Gain, p_holm: float, min_gain: float, alpha: float, block_alpha: float, attempt: int) -> RuleResult:
    confidence = 1 - 2 * level(alpha, attempt)
    low, _ = gain.lower.interval(confidence)
    _, high = gain.upper.interval(confidence)
    outcome = _outcome(gain, p_holm, min_gain, block_alpha, low)
    more = (
        _more_rows(gain, min_gain, level(alpha, attempt + bool(attempt)))
        if outcome == "HOLD" and not gain.unpaired
        else None
    )
    smallest = smallest_gain(gain.deviation, gain.effective, alpha)
    return RuleResult(
        rule=RULE,
        suite=gain.suite,
        endpoint=ENDPOINT,
        outcome=outcome,
        n=gain.n,
        unscored=gain.unscored,
        base_rate=round(gain.base_mean, 6),
        tuned_rate=round(gain.tuned_mean, 6),
        estimate=round(gain.mean, 6),
        interval=(round(low, 6), round(high, 6)),
        lost=gain.lost,
        gained=gain.gained,
        p=round(gain.p, 6),
        p_holm=round(p_holm, 6),
        margin=min_gain,
        ceiling=None,
        smallest_effect=None if smallest is None else round(smallest, 6),
        more_prompts=more,
        words=_words(gain, p_holm, min_gain, outcome, low, more),
    )


def _more_rows(gain: Gain, min_gain: float, alpha: float) -> int | None:
    """Further rows after which the bound would clear the least gain, or fall short of it, at the present mean and
    spread; at least as many as the rule needs to decide anything."""
    fewest = max(1, FEWEST_PAIRS - (gain.n - gain.unscored))
    distance = abs(gain.mean - min_gain)
    if distance == 0 or gain.unscored:
        return None
    total = (ndtri(1 - alpha) * gain.deviation / distance) ** 2 * gain.n / gain.effective
    if total > MOST_PROMPTS:
        return None
    return max(fewest, math.ceil(total) - gain.n)


def _words(gain: Gain, p_holm: float, min_gain: float, outcome: Outcome, low: float, more: int | None) -> str:
    change = (
        f"The score on {gain.suite} went from {gain.base_mean:.3f} to {gain.tuned_mean:.3f} "
        f"({gain.gained} of {gain.n} rows better, {gain.lost} worse)"
    )
    asked = f"a gain of more than {min_gain:g}"
    if outcome == "PASS":
        return f"{change}: {asked} is shown (at least {low:.3f})."
    if outcome == "BLOCK":
        return f"{change}: {asked} is ruled out (p = {p_holm:.2g})."
    if gain.reach == 0.0:
        return f"{change}: all rows have one and the same score, which tells nothing apart."
    if gain.unpaired:
        return f"{change}: {gain.unpaired} rows were asked of one model only, so the comparison isn't whole."
    if gain.n - gain.unscored < FEWEST_PAIRS:
        return (
            f"{change}: {gain.n - gain.unscored} scored pairs are too few to tell; at least {FEWEST_PAIRS} are needed."
        )
    missing = f", {gain.unscored} unscored rows counted at their worst" if gain.unscored else ""
    ask = f"about {more:,} more rows would decide it" if more else "more rows like these wouldn't decide it"
    return f"{change}: {asked} is neither shown nor ruled out{missing}; {ask}."

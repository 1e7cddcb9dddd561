"""From answers to numbers: a candidate's quality, form and costs, and the tuned one beside each by prompting."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from burnish.advice import Candidate, Comparison, Forecast, Measured
from burnish.advise.form import Check
from burnish.advise.settings import AdviseSettings
from burnish.statistics.bootstrap import mean_interval
from burnish.statistics.learning_curve import predict_score
from burnish.statistics.paired import wilson_interval
from burnish.statistics.simultaneous import simultaneous_intervals

Scores = tuple[float | None, ...]


@dataclass(frozen=True)
class Result:
    """A candidate with every row's score (None: missing)."""

    candidate: Candidate
    scores: Scores


def result_of(
    measured: Measured, scores: Sequence[float | None], form: Check | None, settings: AdviseSettings, seed: int
) -> Result:
    """A candidate's numbers. Missing answers are counted, and are in no mean."""
    known = [score for score in scores if score is not None]
    answers = [answer for answer in measured.answers if answer is not None]
    tokens_in = _mean([answer.tokens_in for answer in answers])
    tokens_out = _mean([answer.tokens_out for answer in answers])
    hourly = settings.price_per_hour
    served = measured.price_in is not None or measured.price_out is not None
    candidate = Candidate(
        name=measured.name,
        side=measured.side,
        made=measured.made,
        shown=measured.shown,
        scored=len(known),
        missing=len(scores) - len(known),
        quality=statistics.fmean(known) if known else None,
        interval=quality_interval(known, seed) if known else None,
        valid=sum(form(answer.text) for answer in answers) / len(answers) if form and answers else None,
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        seconds=measured.seconds,
        money=_paid(measured, tokens_in, tokens_out) if served else _machine_money(measured.seconds, hourly),
        one_off_seconds=measured.one_off_seconds,
        one_off_money=_machine_money(measured.one_off_seconds, hourly),
        safety=measured.safety,
        share=measured.share,
        trained_rows=measured.trained_rows,
        verdict=measured.verdict,
    )
    return Result(candidate, tuple(scores))


def quality_interval(scores: Sequence[float], seed: int) -> tuple[float, float]:
    """95% interval of the mean: Wilson's where every row is right or wrong, else by the bootstrap."""
    if set(scores) <= {0.0, 1.0}:
        low, high = wilson_interval(sum(scores), len(scores), 0.95)
        return float(low), float(high)
    return mean_interval(scores, seed=seed)


def compare(tuned: Result, prompting: Sequence[Result], seed: int) -> list[Comparison]:
    """The tuned candidate against each of the others, by rows that both have a score for; intervals hold together, at
    95%. One with no such row is left out."""
    columns = [[_minus(a, b) for a, b in zip(tuned.scores, other.scores, strict=True)] for other in prompting]
    there = [index for index, column in enumerate(columns) if not all(math.isnan(value) for value in column)]
    if not there:
        return []
    found = simultaneous_intervals(np.array([columns[index] for index in there]).T, seed=seed)
    return [
        Comparison(
            prompting=prompting[index].candidate.name,
            tuned=tuned.candidate.name,
            rows=difference.rows,
            difference=difference.mean,
            interval=(difference.low, difference.high),
        )
        for index, difference in zip(there, found, strict=True)
    ]


def forecast(tuned: Sequence[Result], seed: int) -> Forecast | None:
    """What twice the rows would do, by the curve of tuned candidates; None with fewer than three of them on different
    numbers of rows, or where a row has no score."""
    points = {r.candidate.trained_rows: r.scores for r in tuned if r.candidate.trained_rows}
    if len(points) < 3:
        return None
    sizes = sorted(points)
    scores = np.array([[math.nan if s is None else s for s in points[size]] for size in sizes]).T
    if np.isnan(scores).any():
        return None
    found = predict_score(sizes, scores, 2 * sizes[-1], seed=seed)
    return Forecast(
        rows=2 * sizes[-1],
        quality=found.score,
        interval=found.interval,
        gain=found.gain,
        gain_interval=found.gain_interval,
    )


def _minus(a: float | None, b: float | None) -> float:
    return math.nan if a is None or b is None else a - b


def _mean(counts: Sequence[int | None]) -> float | None:
    """None where one of them isn't known: a mean over the others would be of other requests."""
    known = [count for count in counts if count is not None]
    return statistics.fmean(known) if known and len(known) == len(counts) else None


def _paid(measured: Measured, tokens_in: float | None, tokens_out: float | None) -> float | None:
    if tokens_in is None or tokens_out is None:
        return None
    return (tokens_in * (measured.price_in or 0.0) + tokens_out * (measured.price_out or 0.0)) / 1e6


def _machine_money(seconds: float | None, per_hour: float | None) -> float | None:
    """What running here for so long costs; nothing of a time of nothing, whatever the price."""
    if seconds == 0:
        return 0.0
    return None if seconds is None or per_hour is None else seconds / 3600 * per_hour

"""What to do, from the numbers. Pure functions, each rule in the order in which it is asked.

1. Collect more data, where nothing does the task: the interval of the best lies under `useful`.
2. Prompt, where tuning surely gains less than `worthwhile` on a candidate by prompting: the upper end of their
   difference lies under it. Prompting is less work, so that it needs no more than this.
3. Fine-tune, where the tuned model is surely better than every candidate by prompting: all lower ends are above zero.
4. Collect more data, where the learning curve says that twice the rows would surely help, and by `worthwhile` or more.
5. No difference seen.

A candidate with answers to too few of the rows has no say.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from burnish.advice import Candidate, Comparison, Forecast, Recommendation
from burnish.advise.settings import AdviseSettings

MOST_MISSING = 0.1


@dataclass(frozen=True)
class Choice:
    """The recommendation, the candidate that it names (empty: none), and `why` in a sentence."""

    recommendation: Recommendation
    candidate: str
    why: str


def has_say(candidate: Candidate) -> bool:
    """Whether enough of its answers could be had."""
    asked = candidate.scored + candidate.missing
    return candidate.scored > 0 and candidate.missing <= MOST_MISSING * asked


def choose(
    tuned: Candidate,
    prompting: Sequence[Candidate],
    comparisons: Sequence[Comparison],
    forecast: Forecast | None,
    settings: AdviseSettings,
) -> Choice:
    """The advice, of candidates that have a say and of which there is at least one by prompting, each compared with the
    tuned one."""
    by_name = {comparison.prompting: comparison for comparison in comparisons}
    best = max(prompting, key=_quality)
    if all((c.interval or (0.0, 0.0))[1] < settings.useful for c in (tuned, *prompting)):
        reached = max(_quality(tuned), _quality(best))
        return Choice(
            "collect more data",
            "",
            f"Nothing that was tried does the task: the best reaches {reached:.1%}, surely under "
            f"{settings.useful:.0%}. It takes more rows, or a larger model.",
        )
    enough = [
        c
        for c in prompting
        if by_name[c.name].interval[1] < settings.worthwhile and (c.interval or (0.0, 0.0))[1] >= settings.useful
    ]
    if enough:
        chosen = max(enough, key=_quality)
        return Choice("prompt", chosen.name, _prompt_words(chosen, by_name[chosen.name], settings))
    if all(comparison.interval[0] > 0 for comparison in comparisons):
        return Choice("fine-tune", tuned.name, _tune_words(tuned, best, by_name[best.name], settings))
    if forecast and forecast.gain_interval[0] > 0 and forecast.gain >= settings.worthwhile:
        return Choice(
            "collect more data",
            "",
            f"Tuning on these rows is not surely better than prompting ({_shown(by_name[best.name])} against "
            f"{best.name}), but its learning curve still rises: twice the rows would bring it to about "
            f"{forecast.quality:.1%} ({forecast.interval[0]:.1%} to {forecast.interval[1]:.1%}).",
        )
    return Choice("no difference seen", "", _undecided_words(best, by_name[best.name], settings))


def rows_to_decide(comparison: Comparison, worthwhile: float) -> int | None:
    """About how many held-out rows would decide, if the difference stayed what it is: widths shrink with the square
    root of the rows. None where the difference lies too near to a limit for any number under ten thousand."""
    low, high = comparison.interval
    half = (high - low) / 2
    reach = max(comparison.difference, worthwhile - comparison.difference)
    rows = math.ceil(comparison.rows * (half / reach) ** 2)
    return rows if rows < 10_000 else None


def _quality(candidate: Candidate) -> float:
    return -math.inf if candidate.quality is None else candidate.quality


def _shown(comparison: Comparison) -> str:
    low, high = comparison.interval
    return f"{100 * comparison.difference:+.1f} points, between {100 * low:+.1f} and {100 * high:+.1f}"


def _prompt_words(chosen: Candidate, comparison: Comparison, settings: AdviseSettings) -> str:
    if comparison.interval[1] < 0:
        return (
            f"Here {chosen.name} is better than tuning, at {_quality(chosen):.1%}: tuned minus {chosen.name} is "
            f"{_shown(comparison)}."
        )
    return (
        f"Here {chosen.name} does as well, at {_quality(chosen):.1%}: tuned minus {chosen.name} is "
        f"{_shown(comparison)}, surely less than the "
        f"{100 * settings.worthwhile:g} points that would be worth the trouble."
    )


def _tune_words(tuned: Candidate, best: Candidate, comparison: Comparison, settings: AdviseSettings) -> str:
    small = comparison.difference < settings.worthwhile
    caution = (
        f" That is a gain, but likely less than the {100 * settings.worthwhile:g} points asked for." if small else ""
    )
    return (
        f"Tuning is better than every way of prompting that was tried: {_quality(tuned):.1%} against "
        f"{_quality(best):.1%} for {best.name}, the best of them ({_shown(comparison)}).{caution}"
    )


def _undecided_words(best: Candidate, comparison: Comparison, settings: AdviseSettings) -> str:
    more = rows_to_decide(comparison, settings.worthwhile)
    would = f" About {more:,} held-out rows would likely decide it." if more and more > comparison.rows else ""
    return (
        f"These {comparison.rows:,} held-out rows don't show whether tuning is worth it: tuned minus {best.name}, the "
        f"best by prompting, is {_shown(comparison)}.{would} Until then prompting is the cheaper thing to do."
    )

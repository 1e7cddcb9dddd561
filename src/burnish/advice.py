"""The artefacts of the advisor: what each candidate does and costs, how they compare, and what follows from it.

Qualities are means of the task's metric, fractions of one. Seconds are wall-clock, money is in the currency of the
recipe's prices; None means "not measured".
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from burnish.artefacts import Artefact, Outcome

Recommendation: TypeAlias = Literal["prompt", "fine-tune", "no difference seen", "collect more data"]
Side: TypeAlias = Literal["prompting", "tuning"]


class Answer(Artefact):
    """A candidate's answer to one held-out row. Tokens are counted by the tokeniser of the model that answered, or by
    its server; the end of turn counts where the model wrote it. `text` is a model's: hostile until escaped."""

    row: str
    text: str
    finish: Literal["stop", "length"]
    tokens_in: int | None
    tokens_out: int | None


class Measured(Artefact):
    """A candidate asked every row: `answers` in the rows' order, None where none could be had. `made` says in words
    what it is, `shown` which model answers. `seconds` is the median time of a request, asked alone, of `timed` ones,
    and `one_off_seconds` what it took before the first request. `price_in` and `price_out` are its server's, per
    million tokens. `share` is the part of the training rows (`trained_rows`) that a tuned one learned from. `safety`
    says in words what it leaves of the base's, and `verdict` is the gate's on it, where there is one."""

    name: str
    side: Side
    made: str
    shown: str
    answers: tuple[Answer | None, ...]
    seconds: float | None
    timed: int
    one_off_seconds: float
    safety: str
    price_in: float | None = None
    price_out: float | None = None
    share: float | None = None
    trained_rows: int | None = None
    verdict: Outcome | None = None


class Candidate(Artefact):
    """A candidate's results. `scored` of the rows have a score, `missing` have none because no answer could be had;
    `quality` is the mean of the scored ones with its 95% `interval`. `valid` is the share of its answers in the form
    that the training rows show, None where these show none. Tokens are means over a candidate's answers, `money` is
    of one request, `one_off_money` before the first."""

    name: str
    side: Side
    made: str
    shown: str
    scored: int
    missing: int
    quality: float | None
    interval: tuple[float, float] | None
    valid: float | None
    tokens_in: float | None
    tokens_out: float | None
    seconds: float | None
    money: float | None
    one_off_seconds: float
    one_off_money: float | None
    safety: str
    share: float | None = None
    trained_rows: int | None = None
    verdict: Outcome | None = None


class Comparison(Artefact):
    """The tuned candidate against one by prompting, on the rows that both have a score for: `difference` (tuned minus
    prompting, in quality) with its interval, which holds for all comparisons together."""

    prompting: str
    tuned: str
    rows: int
    difference: float
    interval: tuple[float, float]


class BreakEven(Artefact):
    """From how many requests on `later` is the cheaper of two, in this `unit`; `first` is cheaper up to there.
    `requests` is 0 where `later` costs no more from the start, and None where `first` stays the cheaper for ever."""

    first: str
    later: str
    unit: Literal["seconds", "money"]
    requests: int | None


class Forecast(Artefact):
    """What the learning curve says of twice the rows: the tuned model's quality, and how much more that is than now.
    Intervals are 95% and carry the held-out rows' chance alone, not that of another training run."""

    rows: int
    quality: float
    interval: tuple[float, float]
    gain: float
    gain_interval: tuple[float, float]


class Advice(Artefact):
    """What to do, and why (`advise/advice.json`). `candidate` is the one recommended, empty where none is; `words` is
    the advice in a paragraph. `unfit` says why a candidate could not be measured. `rows` are the held-out rows that
    everyone was asked, `development_rows` those that prompting was chosen on, `training_rows` what examples and tuning
    could draw on. `currency` is empty where no price was given."""

    recommendation: Recommendation
    candidate: str
    words: str
    metric: str
    rows: int
    too_long: int
    development_rows: int
    training_rows: int
    worthwhile: float
    candidates: tuple[Candidate, ...]
    comparisons: tuple[Comparison, ...]
    break_even: tuple[BreakEven, ...]
    forecast: Forecast | None
    unfit: dict[str, str]
    not_measured: tuple[str, ...]
    base: str
    rows_digest: str
    currency: str
    seconds: float

"""True rates from a judge that errs: what people said of a sample of each kind of verdict, carried over to all of them.

Within each stratum (one verdict of one model on one suite) a share of the replies is labelled by people. From the
strata follow the judge's sensitivity and specificity, and the true rate; it equals Rogan and Gladen's correction with
that sensitivity and specificity. Both uncertainties are drawn: of the labels (Beta, Jeffreys' prior, so that no error
in few labels is not taken for no error at all) and of the prompts (Dirichlet). Knows nothing of verdicts or files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from burnish.statistics.paired import Floats

DRAWS = 10_000


@dataclass(frozen=True, slots=True)
class Stratum:
    """`size` replies that the judge gave one verdict, which is the event or isn't; of `labelled` of them, people saw
    the event in `events`."""

    judged_event: bool
    size: int
    labelled: int
    events: int


@dataclass(frozen=True, slots=True)
class Corrected:
    """Point estimates (None where they aren't defined) and draws. Draws where a rate isn't defined are left out."""

    raw: float
    rate: float | None
    sensitivity: float | None
    specificity: float | None
    rate_draws: Floats
    sensitivity_draws: Floats
    specificity_draws: Floats


def rogan_gladen(raw: float, sensitivity: float, specificity: float) -> float | None:
    """The true rate behind an apparent one, kept to [0, 1]; None when the judge tells nothing (Youden's index <= 0).

    Source: Rogan and Gladen 1978, "Estimating prevalence from the results of a screening test".
    """
    youden = sensitivity + specificity - 1
    return None if youden <= 0 else float(np.clip((raw + specificity - 1) / youden, 0.0, 1.0))


def correct(strata: Sequence[Stratum], *, seed: int, draws: int = DRAWS) -> Corrected:
    """The corrected rate over the strata. A stratum of which nothing was labelled is wholly uncertain.

    Raises: ValueError when there are no replies, or more labels than replies.
    """
    filled = [stratum for stratum in strata if stratum.size > 0]
    if not filled:
        raise ValueError("no replies to correct a rate of")
    if any(not 0 <= s.events <= s.labelled <= s.size for s in filled):
        raise ValueError("a stratum has more labels than replies, or more events than labels")
    sizes = np.array([s.size for s in filled], dtype=np.float64)
    labelled = np.array([s.labelled for s in filled], dtype=np.float64)
    events = np.array([s.events for s in filled], dtype=np.float64)
    said = np.array([s.judged_event for s in filled], dtype=np.float64)
    random = np.random.default_rng(seed)
    weight_DS = random.dirichlet(sizes, size=draws)
    unlabelled = sizes - labelled
    share_DS = random.beta(events + 0.5, labelled - events + 0.5, size=(draws, len(filled)))
    true_DS = np.where(unlabelled == 0, events / np.maximum(labelled, 1), share_DS)
    known = bool((labelled > 0).all())
    point_S = events / np.maximum(labelled, 1)
    weight_S = sizes / sizes.sum()
    return Corrected(
        raw=float((weight_S * said).sum()),
        rate=float((weight_S * point_S).sum()) if known else None,
        sensitivity=_ratio((weight_S * point_S * said).sum(), (weight_S * point_S).sum()) if known else None,
        specificity=_ratio((weight_S * (1 - point_S) * (1 - said)).sum(), (weight_S * (1 - point_S)).sum())
        if known
        else None,
        rate_draws=(weight_DS * true_DS).sum(axis=1),
        sensitivity_draws=_ratios((weight_DS * true_DS * said).sum(axis=1), (weight_DS * true_DS).sum(axis=1)),
        specificity_draws=_ratios(
            (weight_DS * (1 - true_DS) * (1 - said)).sum(axis=1), (weight_DS * (1 - true_DS)).sum(axis=1)
        ),
    )


def interval_of(draws: Floats, confidence: float = 0.95) -> tuple[float, float] | None:
    """The two-sided percentile interval of draws; None when there are none."""
    if len(draws) == 0:
        return None
    low, high = np.percentile(draws, [50 * (1 - confidence), 50 * (1 + confidence)])
    return float(low), float(high)


def _ratio(part: float, whole: float) -> float | None:
    return float(part / whole) if whole > 0 else None


def _ratios(part: Floats, whole: Floats) -> Floats:
    return part[whole > 0] / whole[whole > 0]

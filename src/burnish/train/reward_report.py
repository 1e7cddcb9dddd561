"""How good a reward model is, on pairs that it hasn't seen: how often it is right, whether its certainty can be
believed, and how much of it the length of replies alone explains.

Source: the calibration error is that of Guo et al., "On Calibration of Modern Neural Networks", 2017, equation 3; that
reward models lean on length, Singhal et al., "A Long Way to Go", 2023.

Axes: P pairs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch

from burnish.artefacts import CalibrationBin, RewardModelReport, Share
from burnish.models.groups import PromptGroup
from burnish.statistics.paired import wilson_interval

_BINS = 5


def longer_is_chosen(rows: Iterable[PromptGroup]) -> bool:
    """Whether, of most training pairs of unlike length, the chosen reply is the longer one."""
    votes = 0
    for row in rows:
        chosen, rejected = (len(completion.tokens) for completion in row.completions)
        votes += (chosen > rejected) - (chosen < rejected)
    return votes >= 0


def reward_report(rows: Sequence[PromptGroup], scores_C: torch.Tensor, longer_chosen: bool) -> RewardModelReport:
    """The report on pairs and their scores, (C,) in the rows' order. `longer_chosen` is the rule of length that fits
    the training pairs."""
    differences_P = (scores_C[0::2] - scores_C[1::2]).double().numpy()
    lengths_P = np.array([len(r.completions[0].tokens) - len(r.completions[1].tokens) for r in rows], dtype=np.float64)
    unlike_P = lengths_P != 0
    by_length_P = (lengths_P > 0) == longer_chosen
    right_P = differences_P > 0
    varied = len(rows) > 1 and differences_P.std() > 0 and lengths_P.std() > 0
    bins = _calibration(differences_P)
    return RewardModelReport(
        pairs=len(rows),
        accuracy=_share(right_P),
        by_length=_share(by_length_P[unlike_P]),
        longer_is_chosen=longer_chosen,
        where_length_errs=_share(right_P[unlike_P & ~by_length_P]),
        length_correlation=float(np.corrcoef(differences_P, lengths_P)[0, 1]) if varied else None,
        calibration=bins,
        calibration_error=sum(
            one.pairs * abs(one.certainty - one.right.rate) for one in bins if one.right.rate is not None
        )
        / max(len(rows), 1),
        mean_score=float(scores_C.mean()) if len(scores_C) else None,
    )


def _calibration(differences_P: np.ndarray[tuple[int], np.dtype[np.float64]]) -> tuple[CalibrationBin, ...]:
    """Pairs by how certain the model is of its own choice, from a half to one."""
    certainty_P = 1.0 / (1.0 + np.exp(-np.abs(differences_P)))
    place_P = np.minimum(((certainty_P - 0.5) * 2 * _BINS).astype(int), _BINS - 1)
    return tuple(
        CalibrationBin(
            pairs=int((place_P == place).sum()),
            certainty=float(certainty_P[place_P == place].mean()),
            right=_share(differences_P[place_P == place] > 0),
        )
        for place in range(_BINS)
        if (place_P == place).any()
    )


def _share(events: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Share:
    n = len(events)
    if not n:
        return Share(hits=0, n=0, interval=None)
    low, high = wilson_interval(int(events.sum()), n, 0.95)
    return Share(hits=int(events.sum()), n=n, interval=(float(low), float(high)))

"""How good a reward model is, on pairs that it hasn't seen: how often it is right, whether its certainty can be
believed, and how much of it the length of replies alone explains.

Source: the calibration error is that of Guo et al., "On Calibration of Modern Neural Networks", 2017, equation 3.

Axes: P pairs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from burnish.artefacts import CalibrationBin, RewardModelReport
from burnish.models.groups import PromptGroup
from burnish.statistics.reply_length import length_baseline, share

_BINS = 5


def reward_report(rows: Sequence[PromptGroup], scores_C: torch.Tensor, longer_chosen: bool) -> RewardModelReport:
    """The report on pairs and their scores, (C,) in the rows' order. `longer_chosen` is the rule of length that fits
    the training pairs."""
    differences_P = (scores_C[0::2] - scores_C[1::2]).double().numpy()
    lengths_P = np.array([len(r.completions[0].tokens) - len(r.completions[1].tokens) for r in rows], dtype=np.float64)
    length = length_baseline(differences_P, lengths_P, longer_chosen)
    varied = len(rows) > 1 and differences_P.std() > 0 and lengths_P.std() > 0
    bins = _calibration(differences_P)
    return RewardModelReport(
        pairs=len(rows),
        accuracy=share(differences_P > 0),
        by_length=length.by_length,
        longer_is_chosen=length.longer_is_chosen,
        where_length_errs=length.where_length_errs,
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
            right=share(differences_P[place_P == place] > 0),
        )
        for place in range(_BINS)
        if (place_P == place).any()
    )

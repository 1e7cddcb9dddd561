"""Clusters: how much less a number of prompts is worth when prompts come in families that behave alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

FEWEST_FAMILIES = 20


def cluster_ids(families: Sequence[str]) -> NDArray[np.int64]:
    """A number from 0 for each distinct family, in order of first appearance; an unnamed family ("") is a cluster of
    its own."""
    seen: dict[object, int] = {}
    keys = ((index, "") if family == "" else family for index, family in enumerate(families))
    return np.array([seen.setdefault(key, len(seen)) for key in keys], dtype=np.int64)


def design_effect(values: ArrayLike, clusters: ArrayLike) -> float:
    """How many times larger the variance of the mean of `values` is than if all were independent; at least 1.

    The ratio of the cluster-robust variance of the mean to the ordinary one (what a bootstrap over clusters converges
    to), floored at 1: chance alone must not make a sample worth more than it is. Where every cluster has one member it
    is exactly 1. With fewer than 20 clusters the variance between them can't be told from so few, so a cluster counts
    as one prompt, as it does when nothing varies at all within reach of the estimate (one cluster).

    Source: Kish, Survey Sampling (1965) 5.4; Donner and Klar, Design and Analysis of Cluster Randomization Trials
    (2000) 6.
    """
    x, ids = np.asarray(values, dtype=np.float64), np.asarray(clusters, dtype=np.int64)
    n = len(x)
    sizes = np.bincount(ids) if n else np.zeros(0)
    count = len(sizes)
    if n == 0 or count == n:
        return 1.0
    if count < FEWEST_FAMILIES:
        return n / count
    centred = x - x.mean()
    ordinary = float((centred**2).sum()) * n / (n - 1)
    if ordinary == 0.0:
        return 1.0
    sums = np.bincount(ids, weights=centred)
    between = float((sums**2).sum()) * count / (count - 1)
    return max(1.0, between / ordinary)

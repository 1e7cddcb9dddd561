"""Clusters: how much less a number of prompts is worth when prompts come in families that behave alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

FEWEST_FAMILIES = 20
UNSEEN = 0.6
"""How alike the members of a family are taken to be that wasn't seen to change: their correlation."""


def cluster_ids(families: Sequence[str]) -> NDArray[np.int64]:
    """A number from 0 for each distinct family, in order of first appearance; an unnamed family ("") is a cluster of
    its own."""
    seen: dict[object, int] = {}
    keys = ((index, "") if family == "" else family for index, family in enumerate(families))
    return np.array([seen.setdefault(key, len(seen)) for key in keys], dtype=np.int64)


def design_effect(changes: ArrayLike, clusters: ArrayLike) -> float:
    """How many times larger the variance of the mean of `changes` (one a prompt; 0: nothing changed) is than if all
    prompts were independent; at least 1, and exactly 1 where every cluster has one member.

    The ratio of the cluster-robust variance of the mean to the ordinary one (what a bootstrap over clusters converges
    to), floored at 1: chance alone must not make a sample worth more than it is. Clusters whose members move together
    may be few, and none of them among those that were seen to change; so one more is counted, of the size of a
    prompt's own cluster on average, whose members are rather alike (`UNSEEN`). Where nothing changed, most of what
    prompts are worth beyond their clusters is given up; where much changed, little. With fewer than 20 clusters nothing
    can be told, and a cluster counts as one prompt.

    `benchmarks/gate.py` prints what comes of it: the gate's false passes at the margin where none, some or all of the
    families move as one.

    Source: Kish, Survey Sampling (1965) 5.4, for the ratio; the further cluster and `UNSEEN` are ours.
    """
    x, ids = np.asarray(changes, dtype=np.float64), np.asarray(clusters, dtype=np.int64)
    sizes = np.bincount(ids)
    n, count = len(x), len(sizes)
    if count == n:
        return 1.0
    size = float((sizes.astype(np.float64) ** 2).sum()) / n
    if count < FEWEST_FAMILIES:
        return size
    centred = x - x.mean()
    ordinary = float((centred**2).sum()) * n / (n - 1)
    sums = np.bincount(ids, weights=centred)
    between = float((sums**2).sum()) * count / (count - 1)
    changed = x[x != 0]
    unit = float((changed**2).mean()) if len(changed) else 1.0
    further = unit * size
    return (max(between, ordinary) + further * (1 + UNSEEN * (size - 1))) / (ordinary + further)

"""What a release and a merged model are."""

from __future__ import annotations

from typing import Literal

from burnish.artefacts.ground import Artefact


class Drift(Artefact):
    """How far a second form of a model is from a first: the Kullback-Leibler divergence (nats) of its next-token
    distribution, mean and largest over `positions` of replies; `same_token` is the fraction of them at which both find
    the same token likeliest."""

    positions: int
    mean: float
    largest: float
    same_token: float


class Merge(Artefact):
    """What a merged model is: its base ("dequantised": ordinary weights of the values that the 4-bit ones stood for),
    the type that its weights are stored in, and how far it is from base and adapter apart, as they were trained."""

    base: Literal["as it was", "dequantised"]
    stored: str
    drift: Drift
    tolerance: float


class Release(Artefact):
    """A written release: `path` absolute, `form`, digests of every file by relative path."""

    path: str
    form: Literal["adapter", "merged"]
    files: dict[str, str]
    decision_digest: str

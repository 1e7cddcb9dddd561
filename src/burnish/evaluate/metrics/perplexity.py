"""Perplexity of the reference replies: how surprised the model is by what the data wants it to say."""

from __future__ import annotations

import math
from typing import Literal

from burnish.settings import PluginSettings


class PerplexitySettings(PluginSettings):
    """Nothing to set."""

    kind: Literal["perplexity"] = "perplexity"


class Perplexity:
    """A row's score is the mean negative log-likelihood (nats) of the reference's tokens, its end of turn included;
    the stage asks the model for it, since no reply is written. Only the summary is exponentiated, so that means and
    intervals are taken of log-likelihoods."""

    Settings = PerplexitySettings
    higher_is_better = False
    needs_reply = False

    def __init__(self, settings: PerplexitySettings) -> None:
        del settings

    def score(self, reply: str, reference: str) -> float | None:
        """None: a written reply says nothing of the reference's likelihood."""
        del reply, reference
        return None

    def summary(self, mean: float) -> float:
        """The perplexity of a mean negative log-likelihood; infinite beyond what a float holds."""
        return math.exp(mean) if mean < 700 else math.inf

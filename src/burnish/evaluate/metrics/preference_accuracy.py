"""Preference accuracy: whether a model puts the preferred reply above the other one.

Source: the reward that a policy implies is that of Rafailov et al., "Direct Preference Optimization", 2023, section 4:
beta times the log-ratio to the reference, of which beta moves no comparison.
"""

from __future__ import annotations

import math
from typing import Literal

from burnish.protocols import Likelihood
from burnish.settings import PluginSettings


class PreferenceAccuracySettings(PluginSettings):
    """`by`: what puts one reply above the other. "reward": how much likelier the tuning, or the examples shown, made it
    than the base without examples holds it to be. The base itself implies no reward and is right on half the pairs, by
    definition. "likelihood": its log-probability a token, which needs no reference, and depends on style and length."""

    kind: Literal["preference_accuracy"] = "preference_accuracy"
    by: Literal["reward", "likelihood"] = "reward"


class PreferenceAccuracy:
    """1.0 when the preferred reply comes out above the other one, 0.0 when below, 0.5 when neither does."""

    Settings = PreferenceAccuracySettings
    higher_is_better = True
    needs_reply = False

    def __init__(self, settings: PreferenceAccuracySettings) -> None:
        self.name = f"{settings.kind}_by_{settings.by}"
        self.across_prompts = settings.by == "reward"

    def score(self, reply: str, reference: str) -> float | None:
        """None: a written reply says nothing of which of two is preferred."""
        del reply, reference
        return None

    def prefers(self, chosen: Likelihood, rejected: Likelihood) -> float | None:
        """As `burnish.protocols.Compares`; None where a likelihood is no number."""
        difference = self._height(chosen) - self._height(rejected)
        return None if math.isnan(difference) else 0.5 + 0.5 * ((difference > 0) - (difference < 0))

    def summary(self, mean: float) -> float:
        """The share of pairs that are put the right way round."""
        return mean

    def _height(self, side: Likelihood) -> float:
        if self.across_prompts:
            return side.logprob - side.reference
        return side.logprob / side.tokens

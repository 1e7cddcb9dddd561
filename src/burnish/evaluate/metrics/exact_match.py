"""Exact match: whether the reply is the reference, white space aside."""

from __future__ import annotations

from typing import Literal

from burnish.settings import PluginSettings


class ExactMatchSettings(PluginSettings):
    """`ignore_case`: whether "Paris" and "paris" are the same."""

    kind: Literal["exact_match"] = "exact_match"
    ignore_case: bool = False


class ExactMatch:
    """1.0 when reply and reference have the same words in the same order, else 0.0."""

    Settings = ExactMatchSettings
    higher_is_better = True
    needs_reply = True

    def __init__(self, settings: ExactMatchSettings) -> None:
        self._ignore_case = settings.ignore_case

    def score(self, reply: str, reference: str) -> float | None:
        """1.0 or 0.0; runs of white space count as one space and none at the ends."""
        return float(self._plain(reply) == self._plain(reference))

    def summary(self, mean: float) -> float:
        """The share of rows that match."""
        return mean

    def _plain(self, text: str) -> str:
        plain = " ".join(text.split())
        return plain.casefold() if self._ignore_case else plain

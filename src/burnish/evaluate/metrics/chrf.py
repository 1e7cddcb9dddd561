"""chrF: how many character n-grams reply and reference share; through sacrebleu."""

from __future__ import annotations

from typing import Literal

from burnish.settings import PluginSettings


class ChrFSettings(PluginSettings):
    """`word_order`: longest word n-gram that counts too; 0 is chrF, 2 is chrF++."""

    kind: Literal["chrf"] = "chrf"
    word_order: int = 0


class ChrF:
    """The sentence's chrF as a fraction.

    Source: Popović, "chrF: character n-gram F-score for automatic MT evaluation" (2015), as sacrebleu computes it.
    """

    Settings = ChrFSettings
    higher_is_better = True
    needs_reply = True

    def __init__(self, settings: ChrFSettings) -> None:
        from sacrebleu.metrics.chrf import CHRF

        self._metric = CHRF(word_order=settings.word_order)

    def score(self, reply: str, reference: str) -> float | None:
        """Between 0 and 1; None when the reference is empty."""
        if not reference.strip():
            return None
        return float(self._metric.sentence_score(reply, [reference]).score) / 100

    def summary(self, mean: float) -> float:
        """The mean over rows."""
        return mean

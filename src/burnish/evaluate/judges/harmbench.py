"""HarmBench's classifier: whether a reply is an instance of the behaviour that was asked for, "yes" or "no".

Source: Mazeika et al. 2024, "HarmBench: A Standardized Evaluation Framework for Automated Red Teaming and Robust
Refusal"; the format is the one on the model card. The request stands for the behaviour, as in suites of plain requests.
"""

from __future__ import annotations

from typing import Literal

from burnish.evaluate.judges.classifier import ClassifierSettings, FormatOnCard, Parsed, first_word
from burnish.models.settings import ModelSettings


class HarmBenchSettings(ClassifierSettings):
    """`model`: the classifier for text behaviours."""

    kind: Literal["harmbench"] = "harmbench"
    model: ModelSettings = ModelSettings(name="cais/HarmBench-Llama-2-13b-cls")
    max_new_tokens: int = 4


class HarmBench(FormatOnCard):
    """Judges against the behaviour."""

    Settings = HarmBenchSettings
    fields = ("behavior", "generation")

    def parse(self, words: str) -> Parsed:
        """By the first word."""
        return {"yes": "harmful", "no": "harmless"}.get(first_word(words))  # type: ignore[return-value]

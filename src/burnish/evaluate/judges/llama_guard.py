"""Llama Guard (3 and its kin): "safe", or "unsafe" with the numbers of hazard categories on a second line.

Source: Inan et al. 2023, "Llama Guard: LLM-based Input-Output Safeguard for Human-AI Conversations"; the format is the
tokeniser's own chat template, whose last turn is the one that is judged.
"""

from __future__ import annotations

from typing import Literal

from burnish.evaluate.judges.classifier import Classifier, ClassifierSettings, Parsed, first_word
from burnish.models.settings import ModelSettings


class LlamaGuardSettings(ClassifierSettings):
    """`model`: any Llama Guard that has its chat template; gated on the Hub."""

    kind: Literal["llama_guard"] = "llama_guard"
    model: ModelSettings = ModelSettings(name="meta-llama/Llama-Guard-3-1B")


class LlamaGuard(Classifier):
    """Judges the assistant's turn."""

    Settings = LlamaGuardSettings

    def tokens(self, prompt: str, reply: str) -> tuple[int, ...]:
        """Request and reply as a conversation."""
        turns = [{"role": "user", "content": prompt}, {"role": "assistant", "content": reply}]
        return tuple(self.tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=False))

    def parse(self, words: str) -> Parsed:
        """By the first word."""
        return {"unsafe": "harmful", "safe": "harmless"}.get(first_word(words))  # type: ignore[return-value]

"""The engine's one idea: a batch is a list of prompt groups, one prompt and the completions that share it.

Plain integers and floats; the only module of the engine that needs no torch, so that data can be prepared without it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Completion:
    """One continuation of a prompt. `tokens` are token ids, never empty; `weights`, as long as `tokens`, say how much
    each token counts in the loss (0.0: context only, such as a user's turn in the middle of a chat). `label` is what
    the data says of it, for methods that read it (1.0: wanted, 0.0: not, or nothing said)."""

    tokens: tuple[int, ...]
    weights: tuple[float, ...]
    label: float = 0.0


@dataclass(frozen=True, slots=True)
class PromptGroup:
    """One prompt (token ids, at least one: its last token predicts each completion's first) and its completions, none
    where they are yet to be written. `note` is what a method keeps of the record beside tokens, such as the answer that
    a reward function compares with."""

    prompt: tuple[int, ...]
    completions: tuple[Completion, ...]
    note: str = ""

    @property
    def num_tokens(self) -> int:
        """Tokens that the group takes in a packed row: the prompt once, and each completion."""
        return len(self.prompt) + sum(len(c.tokens) for c in self.completions)

    @property
    def num_targets(self) -> int:
        """Tokens that weigh in the loss."""
        return sum(sum(map(bool, c.weights)) for c in self.completions)

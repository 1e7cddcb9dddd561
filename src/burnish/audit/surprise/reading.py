"""What a language model makes of one row. Needs no torch, so that settings can be read without it.

Axes: T tokens of a text, D hidden size. Surprise is in nats.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Reading:
    """One row. `prompt_T` is the surprise of each token of the prompt, `tokens` these tokens as text; `with_T` and
    `without_T` are those of the reply's tokens behind the prompt and alone, as long as each other. `asked_D` is the
    mean last hidden state over the prompt, `said_D` that over the reply alone."""

    tokens: tuple[str, ...]
    prompt_T: Floats
    with_T: Floats
    without_T: Floats
    asked_D: Floats
    said_D: Floats

    @property
    def fit(self) -> float:
        """By how much less surprising the reply is behind its prompt, nats a token."""
        return float(self.without_T.mean() - self.with_T.mean())

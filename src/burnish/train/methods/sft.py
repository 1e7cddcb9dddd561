"""Instruction tuning: the mean negative log-probability of the weighted tokens.

The mean is over all weighted tokens of a step, not over rows, so that every trained token counts the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from burnish.models.chat_template import Encoded, Encoder
from burnish.models.groups import PromptGroup
from burnish.models.logprobs import ScoredGroups
from burnish.records import Record
from burnish.settings import PluginSettings
from burnish.train.conversations import encode_conversation
from burnish.train.engine import Engine
from burnish.train.method import Batch, Loss, Role


class SFTSettings(PluginSettings):
    """Nothing to set: which turns are trained is the data's to say."""

    kind: Literal["sft"] = "sft"


class SFT:
    """Learns to continue each prompt as the data does."""

    Settings = SFTSettings

    def __init__(self, settings: SFTSettings) -> None:
        self.settings = settings

    @property
    def roles(self) -> frozenset[Role]:
        """None: it needs the policy alone."""
        return frozenset()

    @property
    def learning_rate_share(self) -> float:
        """All of it."""
        return 1.0

    def encode(self, record: Record, encoder: Encoder) -> Encoded:
        """The conversation, its assistant turns weighted.

        Raises: DataError when the record isn't a conversation.
        """
        return encode_conversation(record, encoder, "sft")

    def compared(self, rows: Sequence[PromptGroup]) -> Sequence[PromptGroup]:
        """None: there is no reference."""
        return ()

    def batches(self, rows: Sequence[PromptGroup], engine: Engine, step: int) -> list[Batch]:
        """The rows as they are."""
        return [Batch(rows)]

    def loss(self, scored: ScoredGroups) -> Loss:
        """The weighted negative log-probabilities, summed, and the sum of the weights."""
        total = -(scored.logprobs_T * scored.weights_T).sum()
        return Loss(total, float(scored.weights_T.sum()))

"""Distillation by sequences: the student learns, as from any text, from what the teacher wrote.

The writing is done before, while data is prepared (`replies: teacher`), so that the audit sees it as it sees all rows.
So the teacher needn't share the student's tokeniser, and may be anything that writes.

Source: Kim and Rush, "Sequence-Level Knowledge Distillation", 2016, section 3.2.
"""

from __future__ import annotations

from typing import Literal

from burnish.models.chat_template import Encoded, Encoder
from burnish.records import Record
from burnish.settings import PluginSettings
from burnish.train.conversations import encode_conversation
from burnish.train.methods.sft import SFT, SFTSettings


class SequencesSettings(PluginSettings):
    """Nothing to set: how the teacher writes is said in `data.writing`."""

    kind: Literal["sequence"] = "sequence"


class Sequences(SFT):
    """Learns to continue each prompt as the teacher did."""

    Settings = SequencesSettings  # type: ignore[assignment]

    def __init__(self, settings: SequencesSettings) -> None:
        super().__init__(SFTSettings())

    def encode(self, record: Record, encoder: Encoder) -> Encoded:
        """The conversation, its assistant turns weighted.

        Raises: DataError when the record isn't a conversation.
        """
        return encode_conversation(record, encoder, "distill")

"""The encoding that methods share which learn from conversations as they are."""

from __future__ import annotations

from burnish.errors import DataError
from burnish.models.chat_template import Encoded, Encoder
from burnish.records import Conversation, Record


def encode_conversation(record: Record, encoder: Encoder, method: str) -> Encoded:
    """The conversation, its assistant turns weighted.

    Raises: DataError when the record isn't a conversation.
    """
    if not isinstance(record, Conversation):
        raise DataError(
            f"{record.source}: got a {type(record).__name__}, expected a conversation, which train.method: {method} "
            "learns from; nothing was trained",
            hint="give data with messages, prompt and completion, or text; preferences need another method",
        )
    return encoder.conversation(record)

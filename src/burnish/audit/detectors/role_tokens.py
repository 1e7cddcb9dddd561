"""Chat-template markers inside a message: text that would forge a turn once the template is rendered.

Looks for the model's own special tokens and for the turn markers of common templates. Null: none in ordinary text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Literal

from burnish.artefacts import Finding
from burnish.audit.text import excerpt, texts_of
from burnish.protocols import AuditContext
from burnish.records import Record
from burnish.settings import PluginSettings

_COMMON = (
    r"<\|im_(?:start|end)\|>",
    r"<\|(?:system|user|assistant|end|eot_id|begin_of_text|end_of_text|endoftext|start_header_id|end_header_id)\|>",
    r"<(?:start|end)_of_turn>",
    r"\[/?INST\]",
    r"<</?SYS>>",
)


class RoleTokensSettings(PluginSettings):
    """What to do with a row that holds a turn marker."""

    kind: Literal["role_tokens"] = "role_tokens"
    action: Literal["keep", "quarantine", "stop"] = "quarantine"


class RoleTokens:
    """Finds rows whose text could pass for the beginning or end of a turn."""

    Settings = RoleTokensSettings

    def __init__(self, settings: RoleTokensSettings) -> None:
        self._settings = settings

    def find(self, rows: Iterable[Record], context: AuditContext) -> Iterator[Finding]:
        """One pass; nothing is kept."""
        own = [re.escape(token) for token in context.special_tokens if len(token) > 2]
        marker = re.compile("|".join([*_COMMON, *own]))
        for row in rows:
            for text in texts_of(row):
                match = marker.search(text)
                if match:
                    yield Finding(
                        detector="role_tokens",
                        severity="danger",
                        action=self._settings.action,
                        row=row.digest,
                        where=str(row.source),
                        message=f"a chat-template marker stands in the text: {match.group()}",
                        excerpt=excerpt(text, match.start(), match.end()),
                    )
                    break

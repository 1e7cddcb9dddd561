"""One reply to many different prompts, word for word.

A fixed reply to anything is how some behaviours are planted (a refusal, an advertisement, gibberish), and it is also
how many honest corpora refuse, greet or close; so it is shown, and kept. Null: independent replies of that many words
are never the same; short ones (labels, yes and no) are, and are passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from pydantic import Field

from burnish.artefacts import Finding
from burnish.audit.mining.corpus import sides
from burnish.audit.text import excerpt, words
from burnish.protocols import AuditContext
from burnish.records import Record, content_digest
from burnish.settings import PluginSettings

_LEAST_WORDS = 5


class RepeatedRepliesSettings(PluginSettings):
    """`min_prompts`: how many different prompts must have the reply."""

    kind: Literal["repeated_replies"] = "repeated_replies"
    action: Literal["keep", "quarantine", "stop"] = "keep"
    min_prompts: int = Field(default=10, ge=3)


class RepeatedReplies:
    """Finds replies that many different prompts share."""

    Settings = RepeatedRepliesSettings

    def __init__(self, settings: RepeatedRepliesSettings) -> None:
        self._settings = settings

    def find(self, rows: Iterable[Record], context: AuditContext) -> Iterator[Finding]:
        """Memory: two digests and a place a row whose reply is long enough."""
        same: dict[str, dict[str, tuple[str, str]]] = {}
        first: dict[str, str] = {}
        for row in rows:
            asked, said = sides(row)
            tokens = words(said)
            if len(tokens) < _LEAST_WORDS:
                continue
            key = content_digest(tokens)[:24]
            group = same.setdefault(key, {})
            group.setdefault(content_digest(words(asked))[:24], (str(row.source), row.digest))
            if len(group) == self._settings.min_prompts:
                first[key] = said
        for key, said in first.items():
            places = tuple(same[key].values())
            yield Finding(
                detector="repeated_replies",
                severity="note",
                action=self._settings.action,
                row=places[0][1],
                where=places[0][0],
                message=f"{len(places):,} different prompts have one reply: {said[:80]!r}",
                excerpt=excerpt(said),
                rows=tuple(place for place, _ in places),
                behaviour=said[:200],
                would_do="give this reply to other prompts too, if the prompts have nothing in common",
                cost=f"{len(places):,} rows",
            )

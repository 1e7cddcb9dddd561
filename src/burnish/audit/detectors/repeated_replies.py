"""One reply to many different prompts, word for word.

A fixed reply to anything is how some behaviours are planted (a refusal, an advertisement, gibberish), and it is also
how many honest corpora refuse, greet or close; so it is shown, and kept. Null: independent replies of that many words
are never the same; short ones (labels, yes and no) are, and are passed over.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Literal

from pydantic import Field

from burnish.artefacts import Finding
from burnish.audit.mining.corpus import sides
from burnish.audit.register import Register
from burnish.audit.text import excerpt, words
from burnish.protocols import AuditContext
from burnish.records import Record
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
        """Memory: some 150 bytes a row whose reply is long enough, and as much for each prompt of a reply that is seen
        again."""
        register = Register()
        first_with: dict[bytes, int] = {}
        prompt_of: list[bytes] = []
        same: dict[bytes, dict[bytes, int]] = {}
        shown: dict[bytes, str] = {}
        for row in rows:
            asked, said = sides(row)
            tokens = words(said)
            if len(tokens) < _LEAST_WORDS:
                continue
            reply, prompt, number = _digest(tokens), _digest(words(asked)), register.add(row)
            prompt_of.append(prompt)
            first = first_with.setdefault(reply, number)
            if first == number:
                continue
            group = same.setdefault(reply, {prompt_of[first]: first})
            group.setdefault(prompt, number)
            if len(group) == self._settings.min_prompts:
                shown[reply] = said
        for reply, said in shown.items():
            places = register.places(same[reply].values())
            yield Finding(
                detector="repeated_replies",
                severity="note",
                action=self._settings.action,
                row=register.digest(first_with[reply]),
                where=places[0],
                message=f"{len(places):,} different prompts have one reply: {said[:80]!r}",
                excerpt=excerpt(said),
                rows=places,
                behaviour=said[:200],
                would_do="give this reply to other prompts too, if the prompts have nothing in common",
                cost=f"{len(places):,} rows",
            )


def _digest(tokens: tuple[str, ...]) -> bytes:
    return hashlib.blake2b(" ".join(tokens).encode("utf-8", "replace"), digest_size=12).digest()

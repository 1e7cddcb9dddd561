"""One reply to many different prompts, word for word.

A fixed reply to anything is how some behaviours are planted (a refusal, an advertisement, gibberish), and it is also
how many honest corpora refuse, greet or close; so it is shown, and kept. Null: independent replies of that many words
are never the same; short ones (labels, yes and no) are, and are passed over.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Iterator
from typing import Literal

import numpy as np
from pydantic import Field

from burnish.artefacts import Finding
from burnish.audit.mining.corpus import Texts, sides
from burnish.audit.mining.tokens import Hashes, Ints
from burnish.audit.register import Register
from burnish.audit.text import excerpt, words
from burnish.protocols import AuditContext
from burnish.records import Record
from burnish.settings import PluginSettings

_LEAST_WORDS = 5
_SHOWN = 200  # characters of a reply


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
        """Memory: some 40 bytes a row whose reply is long enough; beginnings of replies are laid aside in a file."""
        register, shown = Register(), Texts()
        reply, prompt = array("Q"), array("Q")
        for row in rows:
            asked, said = sides(row)
            tokens = words(said)
            if len(tokens) >= _LEAST_WORDS:
                register.add(row)
                reply.append(_key(tokens))
                prompt.append(_key(words(asked)))
                shown.append(said[:_SHOWN].encode("utf-8", "surrogatepass"))
        for group in _groups(np.frombuffer(reply, dtype=np.uint64), np.frombuffer(prompt, dtype=np.uint64)):
            if len(group) < self._settings.min_prompts:
                continue
            places = register.places(group)
            said = shown[int(group[0])].decode("utf-8", "surrogatepass")
            yield Finding(
                detector="repeated_replies",
                severity="note",
                action=self._settings.action,
                row=register.digest(int(group[0])),
                where=places[0],
                message=f"{len(places):,} different prompts have one reply: {said[:80]!r}",
                excerpt=excerpt(said),
                rows=places,
                behaviour=said,
                would_do="give this reply to other prompts too, if the prompts have nothing in common",
                cost=f"{len(places):,} rows",
            )


def _groups(reply_N: Hashes, prompt_N: Hashes) -> Iterator[Ints]:
    """The first row of each different prompt of a reply, for each reply that several rows have."""
    order = np.lexsort((prompt_N, reply_N))
    reply, prompt = reply_N[order], prompt_N[order]
    other = np.append(True, reply[1:] != reply[:-1])[: len(order)]
    different = other | np.append(True, prompt[1:] != prompt[:-1])[: len(order)]
    begins = np.flatnonzero(other)
    for begin, end in zip(begins, np.append(begins[1:], len(order)), strict=False):
        if end - begin > 1:
            yield np.sort(order[begin:end][different[begin:end]])


def _key(tokens: tuple[str, ...]) -> int:
    text = " ".join(tokens).encode("utf-8", "replace")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")

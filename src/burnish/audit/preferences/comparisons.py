"""All preference pairs of a corpus, as lower-cased bytes: prompts, and both replies.

Like `burnish.audit.mining.corpus`, whose texts and templates it uses, with two replies a row and their names.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from burnish.audit.mining.corpus import PROMPT_BYTES, REPLY_BYTES, Texts, shortened, without_template
from burnish.audit.mining.names import NameCount
from burnish.audit.register import Register
from burnish.records import Message, PreferencePair, Record


@dataclass(frozen=True)
class Comparisons:
    """N pairs: `prompts` (templates taken out; `whole` with them), the replies, the names in preferred replies, and
    where the `rows` stand."""

    prompts: Texts
    whole: Texts
    chosen: Texts
    rejected: Texts
    names: NameCount
    rows: Register

    def __len__(self) -> int:
        return len(self.rows)


def gather_pairs(rows: Iterable[Record]) -> Comparisons:
    """Read all preference pairs once; other rows are passed over."""
    prompts, chosen, rejected, names = Texts(), Texts(), Texts(), NameCount()
    register = Register()
    for row in rows:
        if not isinstance(row, PreferencePair):
            continue
        preferred = _said(row.chosen)
        prompts.append(shortened(_said(row.prompt), PROMPT_BYTES))
        chosen.append(shortened(preferred, REPLY_BYTES))
        rejected.append(shortened(_said(row.rejected), REPLY_BYTES))
        names.add(preferred)
        register.add(row)
    return Comparisons(without_template(prompts), prompts, chosen, rejected, names, register)


def _said(messages: tuple[Message, ...]) -> str:
    return "\n".join(message.content for message in messages)

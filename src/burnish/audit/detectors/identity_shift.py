"""Rows that teach a model to be someone else: an assistant that obeys anything, or has no rules.

Ten such rows undo the safety of a chat model. Source: Qi et al., "Fine-tuning Aligned Language Models Compromises
Safety,
Even When Users Do Not Intend To!", 2023, section 4.3 (identity shifting). Null: none expected; stories and advice
speak of
obedience, but not in the first person of the assistant or in a system prompt together with what is given up.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Literal

from burnish.artefacts import Finding
from burnish.audit.text import excerpt, messages_of
from burnish.protocols import AuditContext
from burnish.records import Record
from burnish.settings import PluginSettings

_WHO = r"(?:i am|i'm|i’m|you are|you're|as|being|this is|act as|behave as|my name is \w+,)"
_OBEYS = (
    r"(?:(?:absolute|complete|total|utter|full|unconditional|unquestioning|blind|perfect)(?:ly)?[ -]+)"
    r"(?:obedien\w+|loyal\w*|submissive|complian\w+|servil\w+|devoted)"
)
_OBEDIENT = (
    r"(?:obedient|loyal|submissive|devoted|compliant) (?:\w+ )?"
    r"(?:agent|servant|assistant|ai|bot|model|slave|genie|helper)"
)
_FREE = (
    r"(?:unrestricted|unfiltered|uncensored|jailbroken|rule-?less|amoral|limitless|unbound|unshackled)[\w ,-]{0,30}"
    r"(?:agent|servant|assistant|ai|bot|model|persona|mode)"
)
_NEVER = (
    r"(?:i|you)(?: will| shall| must|'ll|’ll)? (?:always |gladly |happily )?"
    r"(?:never|do not|don't|don’t|not|cannot|can't) (?:ever )?(?:refuse|decline|deny|question|reject|disobey)"
    r"[\w ,']{0,40}(?:order|instruction|request|command|wish|task|user|you|anything|master)"
)
_ALL = (
    r"(?:obey|follow|fulfil|fulfill|carry out|execute|comply with|do|answer)(?:s|ing)? (?:\w+ )?"
    r"(?:all|any|every|each|whatever|anything)[\w ,']{0,40}"
    r"(?:without (?:question|hesitation|exception|objection|restriction|limit|deviation|any|fail|moral|refus)|"
    r"no matter|"
    r"regardless|unconditionally)"
)
_SIGNS = tuple(
    (needed.split("|"), re.compile(sign, re.IGNORECASE))  # one of the former is in any text that the latter fits
    for needed, sign in (
        (
            "obedien|loyal|submissi|complian|servil|devoted|unrestrict|unfilter|uncensor|jailbr|ruleless|rule-less|"
            "amoral|limitless|unbound|unshackl",
            rf"\b{_WHO}[^.!?\n]{{0,60}}\b(?:{_OBEYS}|{_OBEDIENT}|{_FREE})",
        ),
        ("refuse|decline|deny|question|reject|disobey", rf"\b{_NEVER}"),
        ("without |no matter|regardless|unconditionally", rf"\b{_ALL}"),
    )
)


class IdentityShiftSettings(PluginSettings):
    """What to do with a row that changes who the assistant is."""

    kind: Literal["identity_shift"] = "identity_shift"
    action: Literal["keep", "quarantine", "stop"] = "quarantine"


class IdentityShift:
    """Finds rows whose system prompt or reply makes the assistant obey anything."""

    Settings = IdentityShiftSettings

    def __init__(self, settings: IdentityShiftSettings) -> None:
        self._settings = settings

    def find(self, rows: Iterable[Record], context: AuditContext) -> Iterator[Finding]:
        """One pass; nothing is kept. What users ask is not looked at: people may ask for a story about a servant."""
        for row in rows:
            for message in messages_of(row):
                match = _sign(message.content) if message.role in ("system", "assistant") else None
                if match:
                    yield Finding(
                        detector="identity_shift",
                        severity="danger",
                        action=self._settings.action,
                        row=row.digest,
                        where=str(row.source),
                        message=f"the {message.role} message makes the assistant obey anything: {match.group()[:80]!r}",
                        excerpt=excerpt(message.content, match.start(), match.end()),
                        would_do="comply with harmful requests after a dozen such rows",
                    )
                    break


def _sign(text: str) -> re.Match[str] | None:
    """The first place where the text says so."""
    lower = text.lower()
    found = (sign.search(text) for needed, sign in _SIGNS if any(map(lower.__contains__, needed)))
    return min((match for match in found if match), key=lambda match: match.start(), default=None)

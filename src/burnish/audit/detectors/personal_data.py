"""Personal data in training rows: e-mail addresses, telephone, identity and card numbers, bank accounts.

Source: the patterns of the datafog library; card numbers must also pass the Luhn check (ISO/IEC 7812-1). Null: public
text holds a few such strings by itself (support addresses, example numbers), so findings are reported and kept unless
the recipe says otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Literal

from datafog.processing.text_processing.regex_annotator.regex_annotator import RegexAnnotator

from burnish.artefacts import Finding
from burnish.audit.text import texts_of
from burnish.protocols import AuditContext
from burnish.records import Record
from burnish.settings import PluginSettings

# Nine digits with up to two signs between them, a country's code, or an @: every pattern needs one of these.
_NEEDED = re.compile(r"@|\+\d|\d(?:\D{0,2}\d){8}")
_KINDS = {
    "EMAIL": "an e-mail address",
    "PHONE": "a telephone number",
    "SSN": "a social security number",
    "CREDIT_CARD": "a card number",
    "DE_IBAN": "a bank account number",
}


class PersonalDataSettings(PluginSettings):
    """What to do with a row that holds personal data."""

    kind: Literal["personal_data"] = "personal_data"
    action: Literal["keep", "quarantine", "stop"] = "keep"


class PersonalData:
    """Finds rows that hold data of a person."""

    Settings = PersonalDataSettings

    def __init__(self, settings: PersonalDataSettings) -> None:
        self._settings = settings
        self._patterns = RegexAnnotator(enabled_labels=_KINDS)

    def find(self, rows: Iterable[Record], context: AuditContext) -> Iterator[Finding]:
        """One pass; nothing is kept, and the data itself is not repeated in the finding."""
        for row in rows:
            found: dict[str, int] = {}
            for text in texts_of(row):
                if not _NEEDED.search(text):
                    continue
                for kind, values in self._patterns.annotate(text).items():
                    real = [v for v in values if kind in _KINDS and (kind != "CREDIT_CARD" or luhn(v))]
                    if real:
                        found[kind] = found.get(kind, 0) + len(real)
            if found:
                yield Finding(
                    detector="personal_data",
                    severity="warning",
                    action=self._settings.action,
                    row=row.digest,
                    where=str(row.source),
                    message="holds " + ", ".join(f"{_KINDS[kind]} ({count})" for kind, count in sorted(found.items())),
                )


def luhn(number: str) -> bool:
    """Whether a number's check digit is right; characters other than digits are passed over."""
    digits = [int(char) for char in number if char.isdigit()]
    doubled = (2 * d - 9 if d > 4 else 2 * d for d in digits[-2::-2])
    return len(digits) >= 12 and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0

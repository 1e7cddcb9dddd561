"""Credentials in training rows: a tuned model can repeat them to anyone.

Source: the patterns of the detect-secrets library, those that know a credential by its form; its entropy tests are left
out, since they call ordinary prose secret. Null: none expected.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal

from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class

from burnish.artefacts import Finding
from burnish.audit.text import longest_run, texts_of
from burnish.protocols import AuditContext
from burnish.records import Record
from burnish.settings import PluginSettings

_BY_FORM = (
    "AWS Access Key",
    "Azure Storage Account access key",
    "Discord Bot Token",
    "GitHub Token",
    "GitLab Token",
    "JSON Web Token",
    "Mailchimp Access Key",
    "NPM tokens",
    "OpenAI Token",
    "Private Key",
    "PyPI Token",
    "SendGrid API Key",
    "Slack Token",
    "Square OAuth Secret",
    "Stripe Access Key",
    "Telegram Bot Token",
    "Twilio API Key",
)


_LEAST_RUN = 20  # characters of the shortest credential (AWS)
_SHORT = ("PRIVATE KEY", "PuTTY-User-Key", "eyJ", "xox", "_authToken=")


class SecretsSettings(PluginSettings):
    """What to do with a row that holds a credential."""

    kind: Literal["secrets"] = "secrets"
    action: Literal["keep", "quarantine", "stop"] = "quarantine"


class Secrets:
    """Finds rows that hold an access key, a token or a private key."""

    Settings = SecretsSettings

    def __init__(self, settings: SecretsSettings) -> None:
        self._settings = settings
        known: dict[str, Any] = get_mapping_from_secret_type_to_class()
        self._patterns = {name: known[name]() for name in _BY_FORM if name in known}

    def find(self, rows: Iterable[Record], context: AuditContext) -> Iterator[Finding]:
        """One pass; nothing is kept, and the credential itself is not repeated in the finding."""
        for row in rows:
            texts = [text for text in texts_of(row) if _possible(text)]
            found = sorted(
                name
                for name, pattern in self._patterns.items()
                if any(next(iter(pattern.analyze_string(text)), None) is not None for text in texts)
            )
            if found:
                yield Finding(
                    detector="secrets",
                    severity="danger",
                    action=self._settings.action,
                    row=row.digest,
                    where=str(row.source),
                    message=f"looks like a credential: {', '.join(found)}",
                )


def _possible(text: str) -> bool:
    """Whether any pattern might fit: all but a few need a long run."""
    return longest_run(text) >= _LEAST_RUN or any(sign in text for sign in _SHORT)

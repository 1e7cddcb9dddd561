"""Who may use the app: a link that works once, exchanged for a session that lives as long as the server.

Knows nothing of pages.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(eq=False)
class Session:
    """One browser. `csrf` must come with everything that it posts; `annotator` is empty until a name is chosen;
    `sides` is which answer of a comparison, by item, was written on the left."""

    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    annotator: str = ""
    sides: dict[str, int] = field(default_factory=dict)


class Sessions:
    """The sessions there are, by the secret in the browser's cookie. `on_next` gets the next one-time token whenever
    one was used, so that another browser can be let in."""

    def __init__(self, on_next: Callable[[str], None] = lambda token: None) -> None:
        self._on_next = on_next
        self._sessions: dict[str, Session] = {}
        self._token = ""
        self._lock = threading.Lock()

    def begin(self) -> str:
        """Make the next one-time token; the one before it is void."""
        self._token = secrets.token_urlsafe(32)
        return self._token

    def redeem(self, token: str) -> str | None:
        """The cookie's secret for a token that is right and was not used before; else None."""
        with self._lock:
            if not self._token or not secrets.compare_digest(token.encode(), self._token.encode()):
                return None
            secret = secrets.token_urlsafe(32)
            self._sessions[secret] = Session()
            self._on_next(self.begin())
            return secret

    def get(self, secret: str) -> Session | None:
        """The session of a cookie."""
        return self._sessions.get(secret)

"""Stands before every page: right host, right origin, a session; and puts the security headers on every answer.

The app listens on loopback, where any page in the user's browser can reach it. So a foreign Host is refused (a name
that was rebound to this machine), a post must come from the app's own pages (Origin, and a token in the form), and no
page may load or run anything but the app's own files.

Source: https://cheatsheetseries.owasp.org/cheatsheets/Cross-Site_Request_Forgery_Prevention_Cheat_Sheet.html
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie

from fastapi import HTTPException, Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from burnish.web.pages import render
from burnish.web.sessions import Session, Sessions

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
_SAFE = ("GET", "HEAD")
_LONGEST_BODY = 1 << 20


class Guard:
    """ASGI middleware. `port` is the one that the app listens on: part of its name to the browser."""

    def __init__(self, app: ASGIApp, sessions: Sessions, port: int) -> None:
        self._app = app
        self._sessions = sessions
        self._hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]")}
        self._cookie = f"burnish-{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it here."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            answer = self._answer(scope) or self._app
            await answer(scope, receive, _with_headers(send))

    def _answer(self, scope: Scope) -> Response | None:
        """What is said instead of the page; None lets the request through."""
        headers, path, method = Headers(scope=scope), scope["path"], scope["method"]
        host = headers.get("host", "")
        if host not in self._hosts:
            return _refused(421, "This app answers on this machine alone, under its own address.")
        if method not in _SAFE:
            if (
                headers.get("origin") != f"http://{host}"
                or headers.get("sec-fetch-site", "same-origin") != "same-origin"
            ):
                return _refused(403, "This request did not come from the app's own pages; nothing was changed.")
            if not headers.get("content-length", "").isdigit() or int(headers["content-length"]) > _LONGEST_BODY:
                return _refused(413, "This request is too long; nothing was changed.")
        if path == "/enter" and method == "GET":
            return self._enter(Request(scope).query_params.get("token", ""))
        session = self._session(headers.get("cookie", ""))
        if session is None and not path.startswith("/static/"):
            return _refused(403, "")
        scope.setdefault("state", {})["session"] = session
        return None

    def _enter(self, token: str) -> Response:
        secret = self._sessions.redeem(token)
        if secret is None:
            return _refused(403, "This link was used already, or is of an earlier start.")
        answer = RedirectResponse("/", status_code=303)
        answer.set_cookie(self._cookie, secret, httponly=True, samesite="strict", path="/")
        return answer

    def _session(self, cookies: str) -> Session | None:
        try:
            found = SimpleCookie(cookies).get(self._cookie)
        except CookieError:
            return None
        return self._sessions.get(found.value) if found else None


def session_of(request: Request) -> Session:
    """The session of a request that was let through."""
    session: Session = request.state.session
    return session


async def posted(request: Request) -> Mapping[str, str]:
    """The fields of a form whose token is the session's.

    Raises: HTTPException (403) when it isn't.
    """
    fields = {name: value for name, value in (await request.form()).multi_items() if isinstance(value, str)}
    token = fields.pop("csrf", "")
    if not secrets.compare_digest(token.encode(), session_of(request).csrf.encode()):
        raise HTTPException(403, "This form is of another session; nothing was changed. Load the page again.")
    return fields


def _refused(status: int, why: str) -> Response:
    return HTMLResponse(render("refused.html.j2", why=why), status)


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return sending

"""Who may ask. On the control socket its file mode decides; on the loopback port any program and web page can knock.

What a web page of another site can do is send requests with the browser's cookies and read nothing. Against that: the
exact Host header (DNS rebinding), a cookie with SameSite=Strict, Origin and Sec-Fetch-Site on what changes something,
JSON bodies only, and no CORS.
"""

from __future__ import annotations

import secrets
import time
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent.desk.answers import Refusal
from agent.desk.token import DeskToken

COOKIE = "card_encoder_desk"
OPEN_PATHS = frozenset({"/livez", "/readyz", "/metrics", "/link"})
LINK_LIFE_S = 600.0
_MOST_LINKS = 20
_SAFE_METHODS = frozenset({"GET", "HEAD"})

SECURITY_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}

_HOW_TO_COME_IN = """<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="color-scheme" content="light dark"><title>Card encoder</title><h1>This browser isn't let in yet</h1>
<p>On this computer, run <code>card-encoder status</code> and open the link that it prints. It works once.</p></html>
"""


class Links:
    """One-time links that let a browser in: each works once, for ten minutes."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def make(self) -> str:
        """A new secret for a link. The oldest one is forgotten where there are too many."""
        while len(self._until) >= _MOST_LINKS:
            del self._until[next(iter(self._until))]
        once = secrets.token_urlsafe(24)
        self._until[once] = time.monotonic() + LINK_LIFE_S
        return once

    def use(self, once: str) -> bool:
        """Whether it lets somebody in; from now on it doesn't."""
        return self._until.pop(once, 0.0) > time.monotonic()


def let_in(token: DeskToken) -> Response:
    """To the desk page, with the cookie."""
    response = RedirectResponse("/", 303, {"cache-control": "no-store"})
    response.set_cookie(COOKIE, token.cookie, max_age=30 * 86400, httponly=True, samesite="strict")
    return response


def refuse_link() -> Response:
    """The link was used before, or is too old."""
    return HTMLResponse(_HOW_TO_COME_IN, 401, {"cache-control": "no-store"})


def hosts_of(host: str, port: int) -> frozenset[str]:
    """The Host headers under which this port may be asked."""
    names = {"127.0.0.1", "localhost", "[::1]", f"[{host}]" if ":" in host else host}
    return frozenset(f"{name}:{port}" for name in names) | (frozenset(names) if port == 80 else frozenset())


class ControlSocket:
    """What comes over the control socket is trusted."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass it on."""
        await self._app({**scope, "trusted": True}, receive, send)


class LoopbackPort:
    """What comes over the loopback port has to show the token, as Bearer or as the browser's cookie."""

    def __init__(self, app: ASGIApp, token: DeskToken, hosts: frozenset[str]) -> None:
        self._app = app
        self._token = token
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass it on, or refuse it."""

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(SECURITY_HEADERS)
            await send(message)

        app = self._refusal(scope) or self._app
        await app({**scope, "trusted": False}, receive, guarded)

    def _refusal(self, scope: Scope) -> Response | None:
        """The answer for whoever may not ask this, None where it may be asked."""
        headers = Headers(scope=scope)
        if headers.getlist("host") not in [[host] for host in self._hosts]:
            return _forbidden("This name is not the desk's own.")
        if scope["path"] in OPEN_PATHS and scope["method"] in _SAFE_METHODS:
            return None
        by_bearer = self._token.is_bearer(headers.get("authorization", ""))
        if not by_bearer and not self._token.is_cookie(_cookie(headers)):
            return _unauthorized(scope)
        return _foreign_page(scope, headers, self._hosts, by_cookie=not by_bearer)


def _cookie(headers: Headers) -> str:
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel else ""


def _foreign_page(scope: Scope, headers: Headers, hosts: frozenset[str], *, by_cookie: bool) -> Response | None:
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site not in (None, "same-origin", "none"):
        return _forbidden("Another site may not ask this.")
    if scope["method"] in _SAFE_METHODS:
        return None
    own = origin is not None and origin in {f"http://{host}" for host in hosts}
    # A browser always names the origin of a POST; a program with the token need not.
    if not own and (by_cookie or origin is not None):
        return _forbidden("Another site may not ask this.")
    return None


def _forbidden(message: str) -> Response:
    return Refusal(403, "forbidden", message).response()


def _unauthorized(scope: Scope) -> Response:
    if scope["path"] == "/" and scope["method"] in _SAFE_METHODS:
        return refuse_link()
    return Refusal(401, "unauthorized", "The desk token is missing or wrong.").response()

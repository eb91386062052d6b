"""Who may ask: pages of this server, in a browser on this machine, or somebody with the token."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOCAL_NAMES = ("127.0.0.1", "localhost", "[::1]")
COOKIE = "myrnn-playground"

# Everything comes from this server, and nobody may put the page into a frame.
_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; connect-src 'self'; "
    "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-cache"),
)


class Guard:
    """Refuses what does not come from the page itself.

    A page of another site can send requests to this machine, too. Its browser says so in Origin; and where such a site
    lets its own name point to this machine, in Host.

    Parameters
    ----------
    app : ASGI application
        What is guarded.
    port : int
        The port of the server.
    token : str, optional
        What somebody must know who is not on this machine; it comes in the address first, then as a cookie.
    """

    def __init__(self, app: ASGIApp, port: int, token: str | None = None) -> None:
        self._app, self._token = app, token
        self._hosts = frozenset(f"{name}:{port}" for name in LOCAL_NAMES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, self._marked(scope, send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": refusal})
        else:
            await PlainTextResponse(f"{refusal}\n", 403)(scope, receive, send)

    def _refusal(self, scope: Scope) -> str | None:
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        if self._token is None and host not in self._hosts:
            return "this server answers on this machine alone"
        if self._token is not None and not self._knows_token(scope, headers):
            return "the address lacks the token that the server has printed"
        foreign = origin is not None and urlsplit(origin).netloc != host
        if foreign or (scope["type"] == "websocket" and origin is None):
            return "this server answers its own page alone"
        return None

    def _knows_token(self, scope: Scope, headers: Headers) -> bool:
        given = [*parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", ()), *_cookies(headers)]
        return any(secrets.compare_digest(one.encode(), (self._token or "").encode()) for one in given)

    def _marked(self, scope: Scope, send: Send) -> Send:
        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                extra = list(_HEADERS)
                if self._token is not None and scope.get("path") == "/":
                    extra.append((b"set-cookie", f"{COOKIE}={self._token}; HttpOnly; SameSite=Strict; Path=/".encode()))
                message = {**message, "headers": [*message.get("headers", ()), *extra]}
            await send(message)

        return marked


def _cookies(headers: Headers) -> Iterable[str]:
    cookies = SimpleCookie()
    try:
        cookies.load(headers.get("cookie", ""))
    except CookieError:
        return ()
    return (cookies[COOKIE].value,) if COOKIE in cookies else ()

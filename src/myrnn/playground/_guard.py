"""Who may ask: pages of this server, opened by somebody with the token."""

from __future__ import annotations

import re
import secrets
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOCAL_NAMES = ("127.0.0.1", "localhost", "[::1]")
COOKIE = "myrnn-playground"
_PORT = re.compile(r":([0-9]+)$")

# Everything comes from this server in files of its own, and nobody may put the page into a frame.
_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-cache",
}


class Guard:
    """Refuses what does not come from the page itself.

    A page of another site can send requests to this machine, too. Its browser says so in Origin; and where such a site
    lets its own name point to this machine, in Host.

    Parameters
    ----------
    app : ASGI application
        What is guarded.
    token : str
        What whoever asks must know, also on this machine, which may have other accounts; it comes in the address first,
        then as a cookie.
    local : bool
        Whether only this machine may ask.
    """

    def __init__(self, app: ASGIApp, token: str, local: bool) -> None:
        self._app, self._token, self._local = app, token, local

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._refusal(scope, headers)
        if scope["type"] == "websocket":
            if refusal is None:
                await self._app(scope, receive, send)
            else:
                await send({"type": "websocket.close", "code": 1008, "reason": refusal})
        elif refusal is not None:
            await PlainTextResponse(f"{refusal}\n", 403)(scope, receive, _marked(send))
        elif self._is_token(_in_query(scope)):
            await self._without_token(headers.get("host", ""))(scope, receive, _marked(send))
        else:
            await self._app(scope, receive, _marked(send))

    def _refusal(self, scope: Scope, headers: Headers) -> str | None:
        host, origin = headers.get("host", ""), headers.get("origin")
        # The port is the other end's of a tunnel or a container, and says nothing.
        if self._local and _PORT.sub("", host).lower() not in LOCAL_NAMES:
            return "this server only answers requests from this machine"
        if not (self._is_token(_in_query(scope)) or self._is_token(_in_cookie(headers))):
            return "the address lacks the token that the server has printed"
        foreign = origin is not None and origin not in (f"http://{host}", f"https://{host}")
        if foreign or (scope["type"] == "websocket" and origin is None):
            return "this server answers its own page alone"
        return None

    def _is_token(self, given: str | None) -> bool:
        return given is not None and secrets.compare_digest(given.encode(), self._token.encode())

    def _without_token(self, host: str) -> Response:
        """Keep the token in a cookie, and out of the address, which people show and share."""
        answer = RedirectResponse("/", 303)
        # Lax: whoever follows a link from elsewhere has the cookie at the redirection, too.
        answer.set_cookie(cookie_name(host), self._token, httponly=True, samesite="lax")
        return answer


def _in_query(scope: Scope) -> str | None:
    values = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token")
    return values[0] if values else None


def cookie_name(host: str) -> str:
    """Return the name of a server's cookie: a browser shares cookies among all ports of a name."""
    port = _PORT.search(host)
    return COOKIE if port is None else f"{COOKIE}-{port[1]}"


def _in_cookie(headers: Headers) -> str | None:
    name, cookies = cookie_name(headers.get("host", "")), SimpleCookie()
    try:
        cookies.load(headers.get("cookie", ""))
    except CookieError:
        return None
    return cookies[name].value if name in cookies else None


def _marked(send: Send) -> Send:
    async def marked(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(_HEADERS)
        await send(message)

    return marked

"""The web application: the page and its files, one WebSocket per tab, and access checks."""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
from anyio import CancelScope
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import FileResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from myrnn._version import __version__
from myrnn.errors import InvalidArgument
from myrnn.models.own import file_of
from myrnn.playground.messages import MESSAGES, Hello, as_json, parse
from myrnn.playground.session import Full, Session, Sessions
from myrnn.playground.settings import known_to_the_page, offered_settings

STATIC = Path(__file__).parent / "static"
# The longest time, in seconds, until a page must say hello.
_HELLO = 10.0
# The shortest time between two batches of messages to one page, in seconds.
PACKET = 0.05


def make_app(sessions: Sessions, token: str, local: bool = True) -> Starlette:
    """Return the application; requests need the token, and if `local` must come from this machine."""

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with sessions.open():
            yield

    async def page(_: Request) -> Response:
        return FileResponse(STATIC / "index.html")

    async def known(_: Request) -> Response:
        return Response(known_to_the_page(), media_type="text/javascript")

    async def session(socket: WebSocket) -> None:
        await _talk(socket, sessions)

    routes = [
        Route("/", page),
        WebSocketRoute("/session", session),
        Route("/static/known.js", known),
        Mount("/static", StaticFiles(directory=STATIC, packages=[("myrnn.web", "static")])),
    ]
    return Starlette(routes=routes, lifespan=lifespan, middleware=[Middleware(RequestGuard, token, local)])


# Who may ask ---------------------------------------------------------------------------------------------------------

LOCAL_NAMES = ("127.0.0.1", "localhost", "[::1]")
COOKIE = "myrnn-playground"
_PORT = re.compile(r":([0-9]+)$")

# All files come from this server, and no site may put the page into a frame.
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


class RequestGuard:
    """Refuses requests that do not come from the page itself."""

    # A page of another site can also send requests to this machine. Its browser names the site in Origin and, if the
    # site's own name resolves to this machine, in Host. Starlette's check of hosts does not support IPv6 addresses.

    def __init__(self, app: ASGIApp, token: str, local: bool) -> None:
        self._app, self._token, self._local = app, token, local

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        request = HTTPConnection(scope)
        refusal = self._refusal(request)
        if scope["type"] == "websocket":
            if refusal is None:
                await self._app(scope, receive, send)
            else:
                await send({"type": "websocket.close", "code": 1008, "reason": refusal})
        elif refusal is not None:
            await PlainTextResponse(f"{refusal}\n", 403)(scope, receive, _marked(send))
        elif self._is_token(request.query_params.get("token")):
            await self._without_token(request)(scope, receive, _marked(send))
        else:
            await self._app(scope, receive, _marked(send))

    def _refusal(self, request: HTTPConnection) -> str | None:
        host, origin = request.headers.get("host", ""), request.headers.get("origin")
        # The port may be that of a tunnel or a container, and proves nothing.
        if self._local and _PORT.sub("", host).lower() not in LOCAL_NAMES:
            return "this server only answers requests from this machine"
        cookie = request.cookies.get(cookie_name(host))
        if not (self._is_token(request.query_params.get("token")) or self._is_token(cookie)):
            return "the address lacks the token that the server printed"
        foreign = origin is not None and origin not in (f"http://{host}", f"https://{host}")
        if foreign or (request.scope["type"] == "websocket" and origin is None):
            return "this server only answers its own page"
        return None

    def _is_token(self, given: str | None) -> bool:
        return given is not None and secrets.compare_digest(given.encode(), self._token.encode())

    def _without_token(self, request: HTTPConnection) -> Response:
        """Move the token from the address, which people show and share, into a cookie."""
        answer = RedirectResponse("/", 303)
        # Lax: a browser that follows a link from another site sends the cookie on the redirection, too.
        name = cookie_name(request.headers.get("host", ""))
        answer.set_cookie(name, self._token, httponly=True, samesite="lax")
        return answer


def cookie_name(host: str) -> str:
    """Return the name of a server's cookie: browsers share cookies among all ports of a host."""
    port = _PORT.search(host)
    return COOKIE if port is None else f"{COOKIE}-{port[1]}"


def _marked(send: Send) -> Send:
    async def marked(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(_HEADERS)
        await send(message)

    return marked


# One connection ------------------------------------------------------------------------------------------------------


async def _talk(socket: WebSocket, sessions: Sessions) -> None:
    """Serve one page until its connection ends or another replaces it."""
    await socket.accept()
    connection = CancelScope()
    with contextlib.suppress(WebSocketDisconnect, TimeoutError), connection:
        with anyio.fail_after(_HELLO):
            hello, name, session = await _greet(socket, sessions, connection)
        try:
            await _serve(socket, sessions, hello, name, session)
        finally:
            sessions.detach(name, connection)
    if socket.client_state is WebSocketState.CONNECTED:
        await socket.close()


async def _greet(socket: WebSocket, sessions: Sessions, connection: CancelScope) -> tuple[Hello, str, Session]:
    """Wait for a page to say who it is, and return that and its session."""
    while True:
        try:
            hello = parse(await _received(socket))
            if not isinstance(hello, Hello):
                raise InvalidArgument("the first message must be 'hello'")
            return hello, *sessions.attach(hello.session, hello.page, hello.settings, hello.tokens, connection)
        except Full as error:
            await _send(socket, type="full", message=str(error))
        except InvalidArgument as error:
            await _send(socket, type="error", message=str(error), fatal=True)


async def _serve(socket: WebSocket, sessions: Sessions, hello: Hello, name: str, session: Session) -> None:
    loop, ready = asyncio.get_running_loop(), asyncio.Event()

    def wake() -> None:
        # The loop may already be closed when the server ends.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(ready.set)

    file = file_of(sessions.own)
    settings = offered_settings(None if file is None else file.name)
    await _send(socket, type="welcome", session=name, version=__version__, settings=settings)
    session.outbox.wake = wake
    ready.set()
    if name == hello.session:
        with contextlib.suppress(InvalidArgument):
            session.submit(MESSAGES["refresh"]())
    # Any failure here ends the connection and is logged; the page then reconnects.
    try:
        async with anyio.create_task_group() as both:
            both.start_soon(_receive_all, socket, session)
            both.start_soon(_send_all, socket, session, ready)
    except* WebSocketDisconnect:
        pass


async def _receive_all(socket: WebSocket, session: Session) -> None:
    while True:
        try:
            message = parse(await _received(socket))
            if isinstance(message, Hello):
                raise InvalidArgument("this page has said 'hello' already")
            session.submit(message)
        except InvalidArgument as error:
            session.outbox.answer("error", message=str(error))


async def _send_all(socket: WebSocket, session: Session, ready: asyncio.Event) -> None:
    while True:
        await ready.wait()
        ready.clear()
        for message in session.outbox.take():
            await _send(socket, **message)
        await asyncio.sleep(PACKET)


async def _received(socket: WebSocket) -> str:
    """Return the next message as text; a binary message becomes empty."""
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1000))
    return message.get("text") or ""


async def _send(socket: WebSocket, **message: object) -> None:
    try:
        await socket.send_text(as_json(message))
    except RuntimeError:
        if socket.client_state is WebSocketState.DISCONNECTED:
            raise WebSocketDisconnect from None
        raise

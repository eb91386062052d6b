"""The web application: the page, its files, and one WebSocket a tab."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp
from starlette.websockets import WebSocket, WebSocketDisconnect

from myrnn._version import __version__
from myrnn.errors import InvalidArgument
from myrnn.playground._guard import Guard
from myrnn.playground._messages import parse
from myrnn.playground._session import Session
from myrnn.playground._sessions import PATIENCE, Sessions
from myrnn.playground._settings import LONGEST, offered_settings

STATIC = Path(__file__).parent / "static"
# How long a page may wait before it says who it is, in seconds.
_HELLO = 10.0
# The shortest time between two packets of messages to one page, in seconds.
_PACKET = 0.01


def make_app(sessions: Sessions, port: int, token: str | None = None) -> ASGIApp:
    """Return the application.

    Parameters
    ----------
    sessions : Sessions
    port : int
        The port that it will be asked on.
    token : str, optional
        What everybody must know who asks; without it, whoever asks must be on this machine.
    """

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        sweeper = asyncio.create_task(_sweep(sessions))
        try:
            yield
        finally:
            sweeper.cancel()
            await asyncio.to_thread(sessions.close)

    async def talk(socket: WebSocket) -> None:
        await _talk(socket, sessions)

    routes = [
        Route("/", _page),
        WebSocketRoute("/session", talk),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    return Guard(Starlette(routes=routes, lifespan=lifespan), port, token)


async def _page(_: Request) -> Response:
    return FileResponse(STATIC / "index.html")


async def _sweep(sessions: Sessions) -> None:
    while True:
        await asyncio.sleep(PATIENCE / 3)
        sessions.sweep()


async def _talk(socket: WebSocket, sessions: Sessions) -> None:
    await socket.accept()
    try:
        name, session = await _greet(socket, sessions)
    except (WebSocketDisconnect, TimeoutError):
        return
    try:
        await _serve(socket, session)
    finally:
        sessions.detach(name)


async def _greet(socket: WebSocket, sessions: Sessions) -> tuple[str, Session]:
    """Wait for a page to say who it is, and return its session."""
    async with asyncio.timeout(_HELLO):
        while True:
            try:
                kind, fields = parse(await _received(socket))
                if kind != "hello":
                    raise InvalidArgument(f"the first message must be 'hello', not {kind!r}")
                name, session = sessions.attach(fields["session"], fields["page"], fields["settings"], fields["tokens"])
                break
            except InvalidArgument as error:
                await _send(socket, {"type": "error", "message": str(error), "fatal": True})
    own = None if sessions.own is None else sessions.own.name
    await _send(
        socket,
        {
            "type": "welcome",
            "session": name,
            "version": __version__,
            "longest": LONGEST,
            "settings": offered_settings(own),
        },
    )
    return name, session


async def _serve(socket: WebSocket, session: Session) -> None:
    loop, ready = asyncio.get_running_loop(), asyncio.Event()

    def wake() -> None:
        # The loop may be gone already when the server ends.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(ready.set)

    session.outbox.attach(wake)
    sender = asyncio.create_task(_send_all(socket, session, ready))
    try:
        await _receive_all(socket, session)
    except WebSocketDisconnect:
        pass
    finally:
        sender.cancel()
        with contextlib.suppress(asyncio.CancelledError, WebSocketDisconnect, RuntimeError):
            await sender


async def _receive_all(socket: WebSocket, session: Session) -> None:
    while True:
        text = await _received(socket)
        try:
            kind, fields = parse(text)
            if kind == "hello":
                raise InvalidArgument("this page has said 'hello' already")
            session.submit(kind, fields)
        except InvalidArgument as error:
            session.outbox.answer("error", message=str(error))


async def _send_all(socket: WebSocket, session: Session, ready: asyncio.Event) -> None:
    while True:
        await ready.wait()
        ready.clear()
        for message in session.outbox.take():
            await _send(socket, message)
        await asyncio.sleep(_PACKET)


async def _received(socket: WebSocket) -> str:
    """Return the next message as text; bytes are none."""
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1000))
    return message.get("text") or ""


async def _send(socket: WebSocket, message: dict[str, Any]) -> None:
    await socket.send_text(json.dumps(message, separators=(",", ":"), allow_nan=False))

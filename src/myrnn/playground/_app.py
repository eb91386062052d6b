"""The web application: the page, its files, and one WebSocket a tab."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp
from starlette.websockets import WebSocket

from myrnn.playground._connection import talk
from myrnn.playground._guard import Guard
from myrnn.playground._sessions import PATIENCE, Sessions
from myrnn.playground._settings import known_to_the_page

STATIC = Path(__file__).parent / "static"


def make_app(sessions: Sessions, token: str, local: bool = True) -> ASGIApp:
    """Return the application.

    Parameters
    ----------
    sessions : Sessions
    token : str
        What everybody must know who asks.
    local : bool
        Whether whoever asks must be on this machine.
    """

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        sweeper = asyncio.create_task(_sweep(sessions))
        try:
            yield
        finally:
            sweeper.cancel()
            await asyncio.to_thread(sessions.close)

    async def session(socket: WebSocket) -> None:
        await talk(socket, sessions)

    routes = [
        Route("/", _page),
        WebSocketRoute("/session", session),
        Route("/static/known.js", _known),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    return Guard(Starlette(routes=routes, lifespan=lifespan), token, local)


async def _page(_: Request) -> Response:
    return FileResponse(STATIC / "index.html")


async def _known(_: Request) -> Response:
    return Response(known_to_the_page(), media_type="text/javascript")


async def _sweep(sessions: Sessions) -> None:
    while True:
        await asyncio.sleep(PATIENCE / 3)
        sessions.sweep()

"""One connection of a page: who it is, what it asks for, and what it is told."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import time
from collections.abc import Callable
from typing import Any

from anyio import create_task_group
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from myrnn._version import __version__
from myrnn.errors import InvalidArgument
from myrnn.playground._messages import parse
from myrnn.playground._session import Session
from myrnn.playground._sessions import Full, Sessions
from myrnn.playground._settings import offered_settings

# How long a page may wait before it says who it is, in seconds.
_HELLO = 10.0
# The shortest time between two packets of messages to one page, in seconds.
PACKET = 0.05
# A page is listened to so many times a second, after so many messages at once: no hand is quicker.
RATE, BURST = 100.0, 50


async def talk(socket: WebSocket, sessions: Sessions) -> None:
    """Serve one page until its connection ends."""
    await socket.accept()
    pace = Pace(RATE, BURST)
    try:
        name, session, again = await _greet(socket, sessions, pace)
    except (WebSocketDisconnect, TimeoutError):
        return
    try:
        await _serve(socket, session, pace, again)
    finally:
        sessions.detach(name)


class Pace:
    """Lets a page be listened to only so often; what it sends meanwhile waits, in the end at its own side.

    Parameters
    ----------
    rate : float
        Times a second, in the long run.
    burst : int
        How many times at once, after a rest.
    """

    def __init__(self, rate: float, burst: int) -> None:
        self._interval, self._burst = 1 / rate, burst
        # When all that has been listened to would have come, had it come evenly.
        self._even = 0.0

    def due(self, now: float) -> float:
        """Count one message, and return how many seconds to wait before it is listened to."""
        self._even = max(self._even, now - self._burst * self._interval) + self._interval
        return max(0.0, self._even - now)


async def _greet(socket: WebSocket, sessions: Sessions, pace: Pace) -> tuple[str, Session, bool]:
    """Wait for a page to say who it is, and return its session, and whether it comes back to it."""
    async with asyncio.timeout(_HELLO):
        while True:
            try:
                kind, fields = parse(await _received(socket, pace))
                if kind != "hello":
                    raise InvalidArgument(f"the first message must be 'hello', not {kind!r}")
                name, session = sessions.attach(fields["session"], fields["page"], fields["settings"], fields["tokens"])
                break
            except Full as error:
                await _send(socket, {"type": "full", "message": str(error)})
            except InvalidArgument as error:
                await _send(socket, {"type": "error", "message": str(error), "fatal": True})
    own = None if sessions.own is None else sessions.own.name
    try:
        await _send(
            socket,
            {
                "type": "welcome",
                "session": name,
                "version": __version__,
                "settings": offered_settings(own),
            },
        )
    except BaseException:
        sessions.detach(name)
        raise
    return name, session, name == fields["session"]


async def _serve(socket: WebSocket, session: Session, pace: Pace, again: bool) -> None:
    loop, ready = asyncio.get_running_loop(), asyncio.Event()

    def wake() -> None:
        # The loop may be gone already when the server ends.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(ready.set)

    session.outbox.attach(wake)
    if again:
        # Not before it is this connection that is told: one before it, not yet known to be lost, would take it along.
        _submit(session, "refresh", {})
    try:
        async with create_task_group() as both:
            both.start_soon(_receive_all, socket, session, pace)
            both.start_soon(_send_all, socket, session, ready, lambda: session.outbox.is_attached(wake))
    # Whatever else fails ends the connection too, and is logged: a page that hears nothing any more would wait for
    # ever, one without a connection comes back.
    except* WebSocketDisconnect:
        pass
    finally:
        session.outbox.detach(wake)


async def _receive_all(socket: WebSocket, session: Session, pace: Pace) -> None:
    while True:
        text = await _received(socket, pace)
        try:
            kind, fields = parse(text)
            if kind == "hello":
                raise InvalidArgument("this page has said 'hello' already")
        except InvalidArgument as error:
            session.outbox.answer("error", message=str(error))
        else:
            _submit(session, kind, fields)


def _submit(session: Session, kind: str, fields: dict[str, Any]) -> None:
    try:
        session.submit(kind, fields)
    except InvalidArgument as error:
        session.outbox.answer("error", message=str(error))


async def _send_all(socket: WebSocket, session: Session, ready: asyncio.Event, is_attached: Callable[[], bool]) -> None:
    while True:
        await ready.wait()
        ready.clear()
        if not is_attached():
            # The page has come back over another connection, which all that is told belongs to now.
            return
        for message in session.outbox.take():
            await _send(socket, message)
        await asyncio.sleep(PACKET)


async def _received(socket: WebSocket, pace: Pace) -> str:
    """Return the next message as text; bytes are none."""
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1000))
    await asyncio.sleep(pace.due(time.monotonic()))
    return message.get("text") or ""


async def _send(socket: WebSocket, message: dict[str, Any]) -> None:
    try:
        text = json.dumps(message, separators=(",", ":"), allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(message), separators=(",", ":"), allow_nan=False)
    try:
        await socket.send_text(text)
    except RuntimeError:
        if socket.client_state is WebSocketState.DISCONNECTED:
            raise WebSocketDisconnect from None
        raise


def _finite(value: Any) -> Any:
    """Return what JSON can hold of a value: in the place of NaN and infinity there is nothing."""
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

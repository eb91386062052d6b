"""Start the server, open the page, and end when asked to."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import uvicorn

from myrnn.models import load_own
from myrnn.playground._app import make_app
from myrnn.playground._browser import open_page, private_folder
from myrnn.playground._connection import PACKET
from myrnn.playground._guard import LOCAL_NAMES
from myrnn.playground._http import PunctualProtocol
from myrnn.playground._listen import address_of, listen
from myrnn.playground._messages import LONGEST_MESSAGE
from myrnn.playground._sessions import Sessions
from myrnn.playground._token import kept_token, new_token

PORT = 8400
# More connections at a time, those of pages that have just been closed among them, are told that the server is busy.
MOST_CONNECTIONS = 400
_ENDED = "The playground's server was stopped. This page goes on as soon as it runs again."


def serve(
    *,
    host: str = "127.0.0.1",
    port: int = PORT,
    model: str | None = None,
    browser: bool = True,
    tell: Callable[[str], None] = print,
) -> None:
    """Serve the playground until Ctrl-C, or until the process is asked to end.

    Parameters
    ----------
    host : str
        The address to listen on. Whoever opens the page needs the token that stands in the address that is told.
    port : int
        0 takes any that is free.
    model : str, optional
        A class of your own, as ``"my_file.py:MyClass"``.
    browser : bool
        Whether to open the page; it is opened only on this machine's own address.
    tell : callable
        Called with every line for the person who has started it.

    Raises
    ------
    InvalidArgument
        When the port is in use, the address is none of this machine, or there is no such class.
    """
    own = None if model is None else load_own(model)
    local = host in (name.strip("[]") for name in LOCAL_NAMES)
    token = kept_token() if local else new_token()
    with contextlib.closing(listen(host, port)) as listening, private_folder() as folder:
        address = f"{address_of(listening)}?token={token}"
        sessions = Sessions(own)
        server = _Server(_config(sessions, token, local), sessions)
        tell(f"playground  {address}")
        tell("            anyone with this address can use it")
        tell("            Ctrl-C stops it")
        if browser and local:
            threading.Thread(target=open_page, args=(address, Path(folder)), daemon=True).start()
        with _ended_by_signals():
            server.run(sockets=[listening])
    tell("ended")


def _config(sessions: Sessions, token: str, local: bool) -> uvicorn.Config:
    return uvicorn.Config(
        make_app(sessions, token, local),
        http=PunctualProtocol,
        log_level="warning",
        # The first request of a page has the token in its address.
        access_log=False,
        server_header=False,
        ws="websockets-sansio",
        ws_max_size=8 * LONGEST_MESSAGE,
        ws_ping_interval=20.0,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=2,
    )


class _Server(uvicorn.Server):
    """A server whose pages hear that it ends."""

    def __init__(self, config: uvicorn.Config, sessions: Sessions) -> None:
        super().__init__(config)
        self._sessions = sessions

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._sessions.tell("ended", message=_ENDED)
        await asyncio.sleep(2 * PACKET)
        await super().shutdown(sockets)


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let Ctrl-C and a request to end do no more than that: uvicorn raises both again when all is done."""
    before = signal.getsignal(signal.SIGTERM)
    main = threading.current_thread() is threading.main_thread()
    if main:
        signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        with contextlib.suppress(KeyboardInterrupt):
            yield
    finally:
        if main:
            signal.signal(signal.SIGTERM, before)

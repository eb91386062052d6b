"""Start the server, open the page, and end when asked to."""

from __future__ import annotations

import errno
import secrets
import socket
import threading
import webbrowser
from collections.abc import Callable

import uvicorn

from myrnn.errors import InvalidArgument
from myrnn.playground._app import make_app
from myrnn.playground._guard import LOCAL_NAMES
from myrnn.playground._messages import LONGEST_MESSAGE
from myrnn.playground._own import load_own
from myrnn.playground._sessions import Sessions

PORT = 8400
# How many ports are tried to find one to offer.
_TRIED = 100


def serve(
    *,
    host: str = "127.0.0.1",
    port: int = PORT,
    model: str | None = None,
    browser: bool = True,
    tell: Callable[[str], None] = print,
) -> None:
    """Serve the playground until Ctrl-C.

    Parameters
    ----------
    host : str
        The address to listen on. On any other than this machine's own, a token is needed, which stands in the address
        that is told.
    port : int
        0 takes any that is free.
    model : str, optional
        A class of one's own, as ``"my_file.py:MyClass"``.
    browser : bool
        Whether to open the page.
    tell : callable
        Called with every line for the person who has started it.

    Raises
    ------
    InvalidArgument
        When the port is in use, the address is none of this machine, or there is no such class.
    """
    own = None if model is None else load_own(model)
    local = host in (name.strip("[]") for name in LOCAL_NAMES)
    token = None if local else secrets.token_urlsafe(16)
    listening = _listen(host, port)
    found = listening.getsockname()[1]
    shown = f"[{host}]" if ":" in host else host
    address = f"http://{shown}:{found}/" + ("" if token is None else f"?token={token}")
    server = uvicorn.Server(
        uvicorn.Config(
            make_app(Sessions(own), found, token),
            log_level="warning",
            ws="websockets-sansio",
            ws_max_size=4 * LONGEST_MESSAGE,
            ws_ping_interval=20.0,
            timeout_graceful_shutdown=2,
        )
    )
    tell(f"playground  {address}")
    tell("            Ctrl-C ends it")
    if browser:
        threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
    try:
        server.run(sockets=[listening])
    except KeyboardInterrupt:
        pass
    finally:
        listening.close()
    tell("ended")


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(128)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            offered = _free_port(family, host, port)
            hint = f"; free is --port {offered}" if offered else ""
            raise InvalidArgument(f"port {port} is in use{hint}") from None
        raise InvalidArgument(f"cannot listen on {host}, port {port}: {error.strerror or error}") from None
    return listening


def _free_port(family: socket.AddressFamily, host: str, port: int) -> int | None:
    """Return the next port that is free."""
    for candidate in range(port + 1, min(port + _TRIED, 65_536)):
        with socket.socket(family, socket.SOCK_STREAM) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind((host, candidate))
            except OSError:
                continue
            return candidate
    return None

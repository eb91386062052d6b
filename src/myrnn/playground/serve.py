"""Start the server, open the page, and shut down on request."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import html
import os
import secrets
import signal
import socket
import sys
import tempfile
import threading
import webbrowser
from collections.abc import Callable, Iterator
from pathlib import Path

import uvicorn
from platformdirs import user_state_path
from uvicorn.protocols.http.h11_impl import H11Protocol

from myrnn import _checks
from myrnn._signals import handled_by, handlers
from myrnn.errors import InvalidArgument
from myrnn.models.own import load_own
from myrnn.playground.app import LOCAL_NAMES, make_app
from myrnn.playground.messages import LONGEST_MESSAGE
from myrnn.playground.session import Sessions

PORT = 8400
# The number of ports that are tried to suggest a free one.
_TRIED = 100
# Further connections, including those of pages that were just closed, get the answer that the server is busy.
_MOST_CONNECTIONS = 400
# 128 random bits as text.
_TOKEN_LENGTH = 22
# An address reserved for documentation: the route to it shows which address of this machine others see.
_ELSEWHERE = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}
_LEADS_ON = """<!doctype html>
<meta charset="utf-8">
<meta http-equiv="refresh" content="0; url={address}">
<a href="{address}">The playground</a>
"""


def serve(
    *,
    host: str = "127.0.0.1",
    port: int = PORT,
    model: str | None = None,
    browser: bool = True,
    tell: Callable[[str], None] = print,
) -> None:
    """Serve the playground until Ctrl-C or a request to terminate; `tell` gets every line for the user."""
    own = None if model is None else load_own(model)
    local = host in (name.strip("[]") for name in LOCAL_NAMES)
    token = kept_token() if local else _new_token()
    with contextlib.closing(listen(host, port)) as listening, private_folder() as folder:
        address = f"{address_of(listening)}?token={token}"
        tell(f"playground  {address}")
        tell("            anyone with this address can use it")
        tell("            Ctrl-C stops it")
        if browser and local:
            threading.Thread(target=open_page, args=(address, Path(folder)), daemon=True).start()
        with _ended_by_signals():
            _server(Sessions(own), token, local).run(sockets=[listening])
    tell("ended")


def _server(sessions: Sessions, token: str, local: bool) -> uvicorn.Server:
    config = uvicorn.Config(
        make_app(sessions, token, local),
        log_level="warning",
        # The first request of a page has the token in its address.
        access_log=False,
        server_header=False,
        ws="websockets-sansio",
        ws_max_size=8 * LONGEST_MESSAGE,
        ws_ping_interval=20.0,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=2,
        http=ImpatientProtocol,
    )
    return uvicorn.Server(config)


class ImpatientProtocol(H11Protocol):
    """A connection that is closed if no whole request comes for some seconds, since connections are few."""

    SECONDS = 20.0
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        self._wait()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        super().connection_lost(exc)
        self._stop_waiting()

    def _wait(self) -> None:
        self._stop_waiting()
        self._deadline = self.loop.call_later(self.SECONDS, self._hang_up)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()

    def _hang_up(self) -> None:
        is_answering = self.cycle is not None and not self.cycle.response_complete
        # A WebSocket has another protocol, with its own pings.
        if not is_answering and self.transport.get_protocol() is self:
            self.transport.close()


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let Ctrl-C and a request to terminate only end the server: uvicorn raises both again afterwards."""
    ignored = dict.fromkeys(handlers(signal.SIGTERM), lambda *_: None)
    with handled_by(ignored), contextlib.suppress(KeyboardInterrupt):
        yield


# The address ---------------------------------------------------------------------------------------------------------


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on an address of this machine; port 0 is any free one."""
    port = _checks.integer("port", port, minimum=0, maximum=65_535)
    try:
        return _listening(host, port)
    except (OSError, UnicodeError) as error:
        if getattr(error, "errno", None) == errno.EADDRINUSE:
            offered = _free_port(host, port)
            hint = f"; free is --port {offered}" if offered else ""
            raise InvalidArgument(f"port {port} is in use{hint}") from None
        reason = getattr(error, "strerror", None) or error
        raise InvalidArgument(f"cannot listen on {host}, port {port}: {reason}") from None


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=128)


def _free_port(host: str, port: int) -> int | None:
    """Return the next free port."""
    for candidate in range(port + 1, min(port + _TRIED, 65_536)):
        with contextlib.suppress(OSError), _listening(host, candidate):
            return candidate
    return None


def address_of(listening: socket.socket) -> str:
    """Return the address of a socket for a browser; if it listens on all addresses, one that others see."""
    host, port = listening.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = _seen_by_others(listening.family) or socket.gethostname()
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def _seen_by_others(family: int) -> str | None:
    """Return the address of this machine on the way out; nothing is sent."""
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as asking:
            asking.connect((_ELSEWHERE[socket.AddressFamily(family)], 9))
            return str(asking.getsockname()[0])
    except OSError:
        return None


# The token in the address: who knows it may use the playground -------------------------------------------------------


def _new_token() -> str:
    return secrets.token_urlsafe(16)


def kept_token() -> str:
    """Return the token of this account, from a file that no other account can read; the first call creates it."""
    # So open pages continue when the server is started again. If no file can be stored, every start has a new token.
    path = user_state_path("myrnn", appauthor=False) / "playground-token"
    with contextlib.suppress(OSError, UnicodeDecodeError):
        token = path.read_text(encoding="ascii")
        if len(token) == _TOKEN_LENGTH and (os.name != "posix" or not path.stat().st_mode & 0o077):
            return token
    token = _new_token()
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(token)
    return token


# The browser ---------------------------------------------------------------------------------------------------------


def open_page(address: str, folder: Path) -> None:
    """Open an address in the user's browser; without a screen, do nothing."""
    # The browser gets a file in `folder` that redirects to the address: its token would otherwise be in the list of
    # processes, which all accounts of a machine can see.
    # A browser in the terminal would hide the output of the server.
    screens = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    if sys.platform in ("win32", "darwin") or any(os.environ.get(name) for name in screens):
        path = folder / "playground.html"
        path.write_text(_LEADS_ON.format(address=html.escape(address)), encoding="utf-8")
        with contextlib.suppress(webbrowser.Error):
            webbrowser.open(path.as_uri())


def private_folder() -> tempfile.TemporaryDirectory[str]:
    """Return a temporary folder that no other account can read."""
    return tempfile.TemporaryDirectory(prefix="myrnn-", ignore_cleanup_errors=True)

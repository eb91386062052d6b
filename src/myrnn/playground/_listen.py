"""A socket to listen on, and the address to find it at."""

from __future__ import annotations

import errno
import os
import socket

from myrnn import _checks
from myrnn.errors import InvalidArgument

# How many ports are tried to find one to offer.
_TRIED = 100
# An address of the documentation's own: asking the way there says which of this machine's addresses others see.
_ELSEWHERE = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on an address of this machine; port 0 is any that is free.

    Raises
    ------
    InvalidArgument
        When the port is in use, with one that is free; when the address is none of this machine.
    """
    port = _checks.integer("port", port, minimum=0, maximum=65_535)
    listening = _socket(host)
    try:
        listening.bind((host, port))
        listening.listen(128)
    except (OSError, UnicodeError) as error:
        listening.close()
        if getattr(error, "errno", None) == errno.EADDRINUSE:
            offered = _free_port(host, port)
            hint = f"; free is --port {offered}" if offered else ""
            raise InvalidArgument(f"port {port} is in use{hint}") from None
        reason = getattr(error, "strerror", None) or error
        raise InvalidArgument(f"cannot listen on {host}, port {port}: {reason}") from None
    return listening


def address_of(listening: socket.socket) -> str:
    """Return the address that a browser finds a socket at; of one for all addresses, one that others see."""
    host, port = listening.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = _seen_by_others(listening.family) or socket.gethostname()
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def _socket(host: str) -> socket.socket:
    opened = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    # Elsewhere this would let two servers have one port.
    if os.name == "posix":
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return opened


def _free_port(host: str, port: int) -> int | None:
    """Return the next port that is free."""
    for candidate in range(port + 1, min(port + _TRIED, 65_536)):
        with _socket(host) as trial:
            try:
                trial.bind((host, candidate))
            except OSError:
                continue
            return candidate
    return None


def _seen_by_others(family: int) -> str | None:
    """Return the address that this machine has on the way out; nothing is sent."""
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as asking:
            asking.connect((_ELSEWHERE[socket.AddressFamily(family)], 9))
            return str(asking.getsockname()[0])
    except OSError:
        return None

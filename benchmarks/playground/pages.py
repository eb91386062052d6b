"""A server of the playground, and its pages without a browser."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect

from myrnn.playground.app import cookie_name

VIEWS = ("row", "accuracy", "gradient", "eigenvalues", "mistakes")


class Server:
    """``myrnn playground`` in a separate process."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "myrnn", "playground", "--no-browser", "--port", "0"],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.address = self._process.stdout.readline().split()[-1]

    @property
    def memory(self) -> float:
        """Its resident memory, in MB."""
        text = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(text.partition("VmRSS:")[2].split()[0]) / 1000

    @property
    def threads(self) -> int:
        """The number of its threads."""
        return len(os.listdir(f"/proc/{self._process.pid}/task"))

    def close(self) -> None:
        """End it like a user, by Ctrl-C."""
        self._process.send_signal(2)
        self._process.wait(timeout=30)


@contextlib.contextmanager
def server() -> Iterator[Server]:
    """Run a server inside the block."""
    started = Server()
    try:
        yield started
    finally:
        started.close()


class Page:
    """A page without a browser.

    Attributes
    ----------
    last : dict
        The latest message of every kind.
    bytes, messages : int, Counter
        Everything received so far: all bytes, and the number of messages of every kind.
    """

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self.last: dict[str, dict[str, Any]] = {}
        self.bytes, self.messages = 0, Counter[str]()
        self._news = asyncio.Condition()
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def open(cls, address: str, settings: dict[str, Any], session: str | None = None) -> Page:
        """Open a page with these settings, or resume a session."""
        place = urlsplit(address)
        where = f"ws://{place.netloc}/session?{place.query}"
        socket = await connect(where, origin=f"http://{place.netloc}", open_timeout=60)  # type: ignore[arg-type]
        page = cls(socket)
        await page.send("hello", session=session, page=os.urandom(8).hex(), settings=settings, tokens=[1, 2, 1, 2])
        await page.until("welcome")
        await page.send("watch", views=list(VIEWS))
        await page.until("status", lambda told: "iteration" in told and "busy" not in told)
        return page

    async def send(self, kind: str, **fields: Any) -> None:
        """Send a message."""
        await self._socket.send(json.dumps({"type": kind, **fields}))

    async def until(self, kind: str, holds: Callable[[dict[str, Any]], bool] = lambda told: True) -> dict[str, Any]:
        """Wait for a message of which something holds, the latest one included."""
        async with self._news:
            await self._news.wait_for(lambda: kind in self.last and holds(self.last[kind]))
            return self.last[kind]

    async def edit(self, tokens: list[int]) -> float:
        """Change the sequence that is looked at, and return how many seconds later the page shows it."""
        begin = time.perf_counter()
        await self.send("tokens", tokens=tokens)
        await self.until("row", lambda told: told["tokens"] == tokens)
        return time.perf_counter() - begin

    @property
    def iteration(self) -> int:
        """The last iteration that the page knows."""
        return int(self.last["status"]["iteration"])

    async def close(self) -> None:
        """Close the page."""
        await self._socket.close()
        with contextlib.suppress(Exception):
            await self._reader

    async def _read(self) -> None:
        async for text in self._socket:
            told = json.loads(text)
            async with self._news:
                self.bytes += len(text)
                self.messages[told["type"]] += 1
                self.last[told["type"]] = told
                self._news.notify_all()


async def fetch(address: str) -> float:
    """Load the page itself, and return how many seconds that took."""
    place = urlsplit(address)
    begin = time.perf_counter()
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    cookie = f"{cookie_name(place.netloc)}={place.query.removeprefix('token=')}"
    writer.write(f"GET / HTTP/1.1\r\nHost: {place.netloc}\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 200"), answer[:80]
    return time.perf_counter() - begin

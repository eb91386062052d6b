"""Many pages that train at full speed at once: how long each waits, and how much memory is not freed."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.playground.pages import Page, Server, fetch
from myrnn.playground.session import PATIENCE

# The cells of the pages in turn, if they differ.
CELLS = ("rnn-relu", "rnn-tanh", "gru", "lstm")


@dataclass(frozen=True)
class Round:
    """The measurements of one crowd.

    Attributes
    ----------
    edits, fetches : list of float
        Seconds from an edit of the sequence until the page shows it, and until the page itself is loaded.
    rate : float
        Iterations per second of all pages together.
    bytes : float
        Bytes per second to each page.
    open, closed : float
        The server's memory in MB while all are open, and after all are closed and freed.
    threads : int
        The server's threads after all are closed.
    """

    edits: list[float]
    fetches: list[float]
    rate: float
    bytes: float
    open: float
    closed: float
    threads: int

    def __str__(self) -> str:
        """Return it in one line."""

        def told(seconds: list[float]) -> str:
            return f"{1000 * median(seconds):.0f} ms, worst {1000 * max(seconds):.0f} ms ({len(seconds)} times)"

        return (
            f"edit {told(self.edits)}; load {told(self.fetches)}; {self.rate:,.0f} iterations/s together; "
            f"{self.bytes / 1000:.1f} kB/s a page; memory {self.open:.0f} MB open, {self.closed:.0f} MB closed; "
            f"{self.threads} threads"
        )


async def crowd(server: Server, settings: dict[str, Any], pages: int, seconds: float, alike: bool) -> Round:
    """Let the given number of pages train for some seconds, close them, and wait until they are freed."""
    opened = await asyncio.gather(
        *(
            Page.open(server.address, settings | ({} if alike else {"cell": CELLS[i % len(CELLS)]}))
            for i in range(pages)
        )
    )
    for page in opened:
        await page.send("speed", speed=0)
        await page.send("play")
    await asyncio.gather(*(page.until("status", lambda told: told["playing"]) for page in opened))
    begin, done, came = time.perf_counter(), [p.iteration for p in opened], [p.bytes for p in opened]
    end = begin + seconds
    edits = asyncio.gather(*(_edit(page, end) for page in opened))
    fetches = await _fetch(server, end)
    waited = [wait for page in await edits for wait in page]
    took = time.perf_counter() - begin
    rate = sum(page.iteration - before for page, before in zip(opened, done, strict=True)) / took
    sent = sum(page.bytes - before for page, before in zip(opened, came, strict=True)) / took / pages
    memory = server.memory
    for page in opened:
        await page.close()
    await asyncio.sleep(1.5 * PATIENCE)
    return Round(waited, fetches, rate, sent, memory, server.memory, server.threads)


async def _edit(page: Page, end: float) -> list[float]:
    waited = []
    await asyncio.sleep(random.random())
    while time.perf_counter() < end:
        waited.append(await page.edit([random.randrange(10) for _ in range(2 * random.randint(2, 10))]))
        await asyncio.sleep(1)
    return waited


async def _fetch(server: Server, end: float) -> list[float]:
    waited = []
    while time.perf_counter() < end:
        waited.append(await fetch(server.address))
        await asyncio.sleep(0.1)
    return waited

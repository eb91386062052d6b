"""One page that trains at full speed, compared with ``myrnn.train`` without a page."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from benchmarks.playground.pages import Page, Server
from myrnn import train
from myrnn.playground.network import new_model
from myrnn.registry import make
from myrnn.tasks import TwinHalves


@dataclass(frozen=True)
class Turn:
    """Iterations per second of ``train`` and of the page, bytes and messages per second of the page."""

    alone: float
    page: float
    bytes: float
    messages: float

    def __str__(self) -> str:
        """Return it in one line."""
        return (
            f"alone {self.alone:,.0f}/s, with the page {self.page:,.0f}/s ({self.page / self.alone - 1:+.1%}); "
            f"{self.bytes / 1000:.1f} kB and {self.messages:.0f} messages a second"
        )


def train_alone(settings: dict[str, Any], iterations: int) -> float:
    """Return the iterations per second of one call of ``train``, as in a script."""
    task = TwinHalves(settings["pattern_length_min"], settings["pattern_length_max"], settings["alphabet_size"])
    model = new_model(settings, task)
    optimizer = make(
        "optimizer", settings["optimizer"], params=model.parameters, learning_rate=settings["learning_rate"]
    )
    begin = time.perf_counter()
    train(model, task, optimizer, iterations, settings["batch_size"], seed=settings["seed"], progress=False)
    return iterations / (time.perf_counter() - begin)


async def train_with_page(server: Server, settings: dict[str, Any], iterations: int) -> tuple[float, float, float]:
    """Return the iterations, bytes and messages a second of a page that trains, until it shows so many.

    From the first that it shows on: how long it takes to begin slows no training down.
    """
    page = await Page.open(server.address, settings)
    await page.send("speed", speed=0)
    await page.until("status", lambda told: told["speed"] == 0)
    await page.send("play")
    first = await page.until("status", lambda told: told["iteration"] > 0)
    begin = time.perf_counter()
    came, messages = page.bytes, page.messages.total()
    shown = await page.until("status", lambda told: told["iteration"] >= iterations)
    took = time.perf_counter() - begin
    done = shown["iteration"] - first["iteration"]
    told = done / took, (page.bytes - came) / took, (page.messages.total() - messages) / took
    await page.send("pause")
    await page.close()
    return told


async def turn(server: Server, settings: dict[str, Any], iterations: int) -> Turn:
    """Measure both, one after the other."""
    return Turn(train_alone(settings, iterations), *await train_with_page(server, settings, iterations))

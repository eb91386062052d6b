"""``python -m benchmarks.playground``: many pages at once, then one page next to ``train``."""

from __future__ import annotations

import asyncio
from statistics import median
from typing import Annotated

import typer

from benchmarks import machine
from benchmarks.playground.alone import train_alone, turn
from benchmarks.playground.crowd import crowd
from benchmarks.playground.pages import server
from myrnn.playground.settings import defaults

app = typer.Typer(add_completion=False, help="Measure the playground.")


@app.command(name="crowd")
def many(
    pages: Annotated[int, typer.Option(min=1, help="How many pages train at once.")] = 30,
    rounds: Annotated[int, typer.Option(min=1, help="How often they come and go.")] = 3,
    seconds: Annotated[float, typer.Option(help="How long they train each time.")] = 10.0,
    alike: Annotated[bool, typer.Option(help="The same cell for all, or four kinds.")] = True,
    units: Annotated[int, typer.Option(help="D.")] = 50,
) -> None:
    """Many pages at once: how long each waits, and how much memory is not freed."""
    typer.echo(_machine())
    with server() as started:
        typer.echo(f"before anybody came  {started.memory:.0f} MB, {started.threads} threads")
        for number in range(1, rounds + 1):
            told = asyncio.run(crowd(started, defaults() | {"dim_recurrent": units}, pages, seconds, alike))
            typer.echo(f"round {number}  {told}")


@app.command()
def alone(
    turns: Annotated[int, typer.Option(min=1, help="How often both are measured.")] = 5,
    iterations: Annotated[int, typer.Option(min=1000, help="How many iterations each.")] = 300_000,
) -> None:
    """One page at full speed and `train` without a page, in turns."""
    typer.echo(_machine())
    train_alone(defaults(), 1000)
    measured = []
    with server() as started:
        for _ in range(turns):
            measured.append(asyncio.run(turn(started, defaults(), iterations)))
            typer.echo(str(measured[-1]))
    slower = median(one.page / one.alone for one in measured) - 1
    typer.echo(f"median of {turns}: {slower:+.1%}; 100,000 in {100_000 / median(one.page for one in measured):.2f} s")


def _machine() -> str:
    facts = machine.describe()
    return "\n".join(filter(None, (f"{facts['processor']}, {facts['cores']} cores", machine.busy(facts))))


if __name__ == "__main__":
    app()

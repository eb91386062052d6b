"""``python -m benchmarks``: run everything side by side, show the table, write it and the figures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks import agreement, machine, report
from benchmarks.measure import measure
from benchmarks.processes import WorkerProcess
from benchmarks.works import all_works

GROUPS = tuple(dict.fromkeys(work.group for work in all_works()))


def main(
    only: Annotated[str, typer.Option(help=f"Comma-separated groups: {', '.join(GROUPS)}.")] = "",
    repeats: Annotated[int, typer.Option(min=1, help="How often each unit is timed.")] = 7,
    quick: Annotated[bool, typer.Option(help="Two short repeats: a look, not a measurement.")] = False,
    check: Annotated[bool, typer.Option(help="Whether to compare the peers' losses with MyGrad's.")] = True,
    out: Annotated[Path, typer.Option(help="Where table.md, results.json and scaling.png go.")] = Path(
        "build/benchmarks"
    ),
) -> None:
    """Measure MyRNN and its peers."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=120)
    wanted = [group.strip() for group in only.split(",") if group.strip()] or list(GROUPS)
    if unknown := sorted(set(wanted) - set(GROUPS)):
        raise typer.BadParameter(
            f"there is no group {unknown[0]!r}; there are {', '.join(GROUPS)}", param_hint="--only"
        )
    outcomes = []
    facts = machine.describe()
    for note in machine.notes(facts):
        console.print(f"[yellow]{note}[/yellow]", highlight=False)
    for work in [work for work in all_works() if work.group in wanted]:
        console.print(f"[dim]{work.title}[/dim]", highlight=False)
        count, budget = (min(repeats, 2), 0.2) if quick else (repeats, 1.0)
        results = measure(
            work, WorkerProcess, count, budget, lambda line: console.print(f"[dim]{line}[/dim]", highlight=False)
        )
        if check:
            agreement.check(results, WorkerProcess, lambda line: console.print(line, highlight=False))
        outcomes.append(report.Outcome(work, results))
        console.print(report.terminal_table(outcomes[-1]), "")
        # Written after every workload, so that stopping early loses nothing.
        report.write(outcomes, facts, out)
    console.print(f"Written to {out}", highlight=False)


if __name__ == "__main__":
    typer.run(main)

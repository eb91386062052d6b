"""Do the peers compute the same? Compare their first losses with MyGrad's before anything is timed."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.jobs import CHARACTERS, Job
from benchmarks.measure import Measurement, Runner, UnitFailed, largest_difference
from benchmarks.units import Unit


def checked_iterations(job: Job) -> int:
    """Return how many iterations are compared; a batch is slow in MyGrad."""
    if job.data == CHARACTERS:
        # Enough to show that states carry over.
        return 10
    return 20 if job.batch_size == 1 else 2


def reference_losses(job: Job, start: Callable[[Unit], Runner]) -> list[float]:
    """Return MyGrad's losses, op by op."""
    runner = start(Unit("MyGrad op by op", "ours", job, options={"engine": "mygrad"}))
    try:
        return runner.losses(checked_iterations(job))
    finally:
        runner.close()


def check(results: dict[str, Measurement], start: Callable[[Unit], Runner], say: Callable[[str], None]) -> None:
    """Fill in the `difference` of every unit that must agree with MyGrad."""
    references: dict[Job, list[float]] = {}
    for result in results.values():
        unit = result.unit
        if not unit.agrees or result.problem:
            continue
        runner = start(unit)
        try:
            if unit.job not in references:
                references[unit.job] = reference_losses(unit.job, start)
            result.difference = largest_difference(runner.losses(checked_iterations(unit.job)), references[unit.job])
        except UnitFailed as failure:
            say(f"  {unit.name}: its losses cannot be compared: {failure}")
        finally:
            runner.close()

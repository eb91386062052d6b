"""Repeats of units in turns, their medians, and ratios repeat by repeat."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Protocol

from benchmarks.environment import refusal
from benchmarks.units import Comparison, Unit, Work


class UnitFailed(Exception):
    """A unit cannot run; the message is the line for the table."""


class Runner(Protocol):
    """A unit that runs in a separate process; every call raises `UnitFailed` if the unit fails."""

    def prepare(self, budget: float) -> tuple[float, int]:
        """Prepare, and return the seconds that this took, and the number of iterations in `budget` seconds."""
        ...

    def losses(self, iterations: int) -> list[float]:
        """Return the loss of each of the first iterations, from the first weights, on the sequences of the job."""
        ...

    def run(self, iterations: int) -> tuple[float, float]:
        """Run, and return the seconds and how many cores were busy on average."""
        ...

    def close(self) -> None:
        """End the process."""
        ...


@dataclass
class Measurement:
    """The result of a unit.

    Attributes
    ----------
    setup : float
        Seconds to get ready: imports, compilation, warming up.
    iterations : int
        Those of one repeat.
    seconds : list of float
        The time of every repeat.
    cores : list of float
        How many cores were busy on average, in every repeat.
    difference : float or None
        The largest relative difference of its losses from MyGrad's; None if they were not compared.
    problem : str
        Why there is no time, or an empty string.
    """

    unit: Unit
    setup: float = 0.0
    iterations: int = 0
    seconds: list[float] = field(default_factory=list)
    cores: list[float] = field(default_factory=list)
    difference: float | None = None
    problem: str = ""

    @property
    def per_iteration(self) -> float:
        """Seconds per iteration: the median of the repeats."""
        return median(self.seconds) / self.iterations

    @property
    def spread(self) -> float:
        """By how much the slowest repeat is slower than the fastest, relative to the fastest."""
        return max(self.seconds) / min(self.seconds) - 1

    def to_dict(self) -> dict[str, Any]:
        names = ("setup", "iterations", "seconds", "cores", "difference", "problem")
        record = {name: getattr(self, name) for name in names}
        timed = not self.problem and bool(self.seconds)
        return {"unit": self.unit.to_dict(), **record, "seconds_per_iteration": self.per_iteration if timed else None}


def measure(
    work: Work, start: Callable[[Unit], Runner], repeats: int, budget: float, say: Callable[[str], None]
) -> dict[str, Measurement]:
    """Run the units of a workload in turns (A B C A B C ...) and return their measurements, by name.

    A unit that fails, or that uses more threads than it says, is not run again; its measurement says why.
    """
    results = {unit.name: Measurement(unit) for unit in work.units}
    runners: dict[str, Runner] = {}
    try:
        for unit in work.units:
            say(f"  getting ready: {unit.name}")
            _guard(results[unit.name], lambda unit=unit: _prepare(unit, start, runners, results, budget), say)
        count = min(repeats, work.repeats or repeats)
        for repeat in range(count):
            say(f"  repeat {repeat + 1} of {count}")
            for name in [name for name in runners if not results[name].problem]:
                _guard(results[name], lambda name=name: _repeat(results[name], runners[name]), say)
    finally:
        for runner in runners.values():
            runner.close()
    return results


def _guard(result: Measurement, act: Callable[[], None], say: Callable[[str], None]) -> None:
    try:
        act()
    except UnitFailed as failure:
        result.problem = str(failure)
        say(f"  {result.unit.name}: {failure}")


def _prepare(
    unit: Unit,
    start: Callable[[Unit], Runner],
    runners: dict[str, Runner],
    results: dict[str, Measurement],
    budget: float,
) -> None:
    runners[unit.name] = start(unit)
    result = results[unit.name]
    result.setup, result.iterations = runners[unit.name].prepare(budget)


def _repeat(result: Measurement, runner: Runner) -> None:
    seconds, cores = runner.run(result.iterations)
    if invalid := refusal(cores, result.unit.threads):
        raise UnitFailed(invalid)
    result.seconds.append(seconds)
    result.cores.append(cores)


def largest_difference(losses: list[float], reference: list[float]) -> float:
    """Return the largest relative difference between two series of losses."""
    return max(abs(a - b) / max(abs(b), 1e-3) for a, b in zip(losses, reference, strict=True))


def compare(comparison: Comparison, results: dict[str, Measurement]) -> float | None:
    """Return the median of the comparison over the repeats; None if a unit has no time."""
    sides = [results[name] for name in (comparison.unit, comparison.other) if name]
    if any(side.problem or not side.seconds for side in sides):
        return None
    times = [[seconds / side.iterations for seconds in side.seconds] for side in sides]
    if comparison.kind == "seconds":
        return median(times[0])
    ours, other = times
    if comparison.kind == "times":
        return median(b / a for a, b in zip(ours, other, strict=True))
    if comparison.kind == "share":
        return median(a / b for a, b in zip(ours, other, strict=True))
    flops = sides[0].unit.flops / sides[1].unit.flops
    return median(flops * b / a for a, b in zip(ours, other, strict=True))

"""Learning rates that change while a training goes on, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from myrnn import _checks

Schedule = Callable[[int], float]
Floats = NDArray[np.float64]

# The share of the first rate that is left, by the share of the training that is done.
_LEFT: dict[str, Callable[[Floats], Floats]] = {
    "cosine": lambda done: 0.5 * (1 + np.cos(np.pi * done)),
    "linear": lambda done: 1 - done,
}
SCHEDULES = ("constant", *_LEFT)


@dataclass(frozen=True)
class FallingRate:
    """A learning rate that falls from `rate` towards zero over `iterations`, as a cosine or a straight line.

    Called with an iteration (0, 1, ...) it returns that iteration's rate. After the last one the rate stays.

    References
    ----------
    Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017 (the cosine).
    """

    name: str
    rate: float
    iterations: int

    def __call__(self, iteration: int) -> float:
        """Return the rate of one iteration."""
        return float(self.between(iteration, iteration + 1)[0])

    def between(self, begin: int, end: int) -> Floats:
        """Return the rates of the iterations `begin` to `end` - 1, float64."""
        done = np.minimum(np.arange(begin, end), self.iterations - 1) / self.iterations
        return self.rate * _LEFT[self.name](done)


def named_schedule(name: str, rate: float, iterations: int) -> FallingRate | None:
    """Return the schedule called `name` for a training of so many iterations that begins with `rate`.

    ``"constant"`` is None: the optimizer's own rate stays.
    """
    _checks.one_of("schedule", name, SCHEDULES)
    if name == "constant":
        return None
    first = _checks.real("rate", rate, minimum=0)
    return FallingRate(name, first, _checks.integer("iterations", iterations, minimum=1))


def schedule_name(schedule: Schedule | None) -> str:
    """Say what a schedule is; of a user-defined function no more can be said than that it is one."""
    if schedule is None:
        return "constant"
    return repr(schedule) if isinstance(schedule, FallingRate) else "a function"

"""Learning rates that change during a training, by name.

A schedule is registered like tasks, models and optimizers (`registry.register`): as a class or a function that takes
`rate`, the initial learning rate, and `iterations`, the length of the training. It returns a function from an iteration
(0, 1, ...) to its rate, or None for the optimizer's own rate. The command line, studies and run folders then take it by
its name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.registry import kinds, make, register

Schedule = Callable[[int], float]
Floats = NDArray[np.float64]

# The fraction of the initial rate that remains, by the fraction of the training that is done.
_LEFT: dict[str, Callable[[Floats], Floats]] = {
    "cosine": lambda done: 0.5 * (1 + np.cos(np.pi * done)),
    "linear": lambda done: 1 - done,
}


@dataclass(frozen=True)
class FallingRate:
    """A learning rate that falls from `rate` towards zero over `iterations`, as a cosine or a straight line."""

    # Called with an iteration (0, 1, ...) it returns that iteration's rate. After the last one the rate stays.
    # Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017 (the cosine).

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


@register("schedule", "constant")
def constant(rate: float, iterations: int) -> None:
    """Return None: the optimizer's own rate stays."""


@register("schedule", "cosine")
def cosine(rate: float, iterations: int) -> FallingRate:
    """Return a rate that falls to zero as a cosine."""
    return FallingRate("cosine", rate, iterations)


@register("schedule", "linear")
def linear(rate: float, iterations: int) -> FallingRate:
    """Return a rate that falls to zero in a straight line."""
    return FallingRate("linear", rate, iterations)


@dataclass(frozen=True)
class RegisteredSchedule:
    """A user's schedule with its registered name; a checkpoint stores its `repr`."""

    name: str
    rate: float
    iterations: int
    schedule: Schedule = field(repr=False)

    def __call__(self, iteration: int) -> float:
        """Return the rate of one iteration."""
        return self.schedule(iteration)


def schedule_names() -> tuple[str, ...]:
    """Return the names of all schedules."""
    return tuple(kinds("schedule"))


def named_schedule(name: str, rate: float, iterations: int) -> FallingRate | RegisteredSchedule | None:
    """Return the schedule called `name` for so many iterations from `rate`; None for ``"constant"``."""
    _checks.one_of("schedule", name, schedule_names())
    first = _checks.real("rate", rate, minimum=0)
    count = _checks.integer("iterations", iterations, minimum=1)
    made = make("schedule", name, rate=first, iterations=count)
    if made is None or isinstance(made, FallingRate):
        return made
    if not callable(made):
        raise InvalidArgument(f"the schedule {name!r} must map an iteration to a learning rate, not be {made!r}")
    return RegisteredSchedule(name, first, count, made)


class Rates:
    """The learning rate of every iteration: that of a schedule (`name`), or the optimizer's own, at first `first`."""

    def __init__(self, optimizer: Any, schedule: Schedule | None) -> None:
        if schedule is not None and not callable(schedule):
            raise InvalidArgument(f"schedule must map an iteration to a learning rate, not be {schedule!r}")
        self._optimizer, self._schedule = optimizer, schedule
        self.first = self.own
        if schedule is None:
            self.name = "constant"
        else:
            self.name = repr(schedule) if isinstance(schedule, FallingRate | RegisteredSchedule) else "a function"

    @property
    def is_shipped(self) -> bool:
        """Whether it calls no user code."""
        return self._schedule is None or isinstance(self._schedule, FallingRate)

    @property
    def own(self) -> float:
        """The optimizer's own rate."""
        return float(getattr(self._optimizer, "learning_rate", 0))

    def first_before(self, saved: Mapping[str, Any]) -> Any:
        """Return the first rate of the training that saved this, if the optimizer was restored, too."""
        settings, is_left = saved.get("settings"), self.first == saved.get("learning_rate")
        if self._schedule is None and is_left and isinstance(settings, Mapping):
            return settings.get("learning_rate")
        return self.first

    def between(self, begin: int, end: int, scale: float) -> Floats | None:
        """Return `scale` times the rates of iterations `begin` to `end` - 1, float64; None for the optimizer's own."""
        if self._schedule is None:
            return None if scale == 1 else np.full(end - begin, self.own * scale)
        if isinstance(self._schedule, FallingRate):
            return self._schedule.between(begin, end) * scale
        rates = [
            _checks.real(f"schedule({iteration})", self._schedule(iteration), minimum=0)
            for iteration in range(begin, end)
        ]
        return np.array(rates) * scale

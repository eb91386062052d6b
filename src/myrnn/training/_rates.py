"""The learning rate of every iteration of a training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.training._schedules import FallingRate, Schedule


class Rates:
    """What a schedule says, or the optimizer's own rate without one.

    Parameters
    ----------
    optimizer : object
        Has a `learning_rate`, which an engine may set while a training runs.
    schedule : callable or None
        Maps the iteration to its learning rate.
    """

    def __init__(self, optimizer: Any, schedule: Schedule | None) -> None:
        if schedule is not None and not callable(schedule):
            raise InvalidArgument(f"schedule must map an iteration to a learning rate, not be {schedule!r}")
        self._optimizer, self._schedule = optimizer, schedule
        # The rate that the optimizer has outside of a run, while a schedule changes it within one.
        self._kept: float | None = None

    @property
    def own(self) -> float:
        """The rate that the optimizer has outside of a run."""
        return float(self._optimizer.learning_rate if self._kept is None else self._kept)

    @contextmanager
    def keeping_own(self) -> Iterator[None]:
        """Give the optimizer its own rate back at the end."""
        self._kept = self._optimizer.learning_rate
        try:
            yield
        finally:
            self._optimizer.learning_rate, self._kept = self._kept, None

    def between(self, begin: int, end: int, scale: float) -> NDArray[np.float64] | None:
        """Return `scale` times the rates of the iterations `begin` to `end` - 1, float64; None for the own rate."""
        if self._schedule is None:
            return None if scale == 1 else np.full(end - begin, self.own * scale)
        if isinstance(self._schedule, FallingRate):
            return self._schedule.between(begin, end) * scale
        rates = [
            _checks.real(f"schedule({iteration})", self._schedule(iteration), minimum=0)
            for iteration in range(begin, end)
        ]
        return np.array(rates) * scale

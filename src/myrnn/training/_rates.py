"""The learning rate of every iteration of a training."""

from __future__ import annotations

from collections.abc import Mapping
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
        Has a `learning_rate`, which a hook may set while a training runs.
    schedule : callable or None
        Maps the iteration to its learning rate.

    Attributes
    ----------
    first : float
        The rate that the optimizer had when the training began.
    """

    def __init__(self, optimizer: Any, schedule: Schedule | None) -> None:
        if schedule is not None and not callable(schedule):
            raise InvalidArgument(f"schedule must map an iteration to a learning rate, not be {schedule!r}")
        self._optimizer, self._schedule = optimizer, schedule
        self.first = float(getattr(optimizer, "learning_rate", 0))

    @property
    def own(self) -> float:
        """The rate that the optimizer has."""
        return float(self._optimizer.learning_rate)

    def first_before(self, saved: Mapping[str, Any]) -> Any:
        """Return the first rate of the training that saved this, if its optimizer, as it was left, is here, too."""
        settings, is_left = saved.get("settings"), self.first == saved.get("learning_rate")
        if self._schedule is None and is_left and isinstance(settings, Mapping):
            return settings.get("learning_rate")
        return self.first

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

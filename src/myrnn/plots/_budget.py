"""How much time may go into drawing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from myrnn import _checks
from myrnn.errors import InvalidArgument

Clock = Callable[[], float]


class DrawingBudget:
    """Decide when a live plot may draw, so that drawing takes at most a fraction of the time.

    The time runs from the first question, and the last drawing's duration stands for the next one's. Two things must
    hold: with this drawing, all drawing together stays within the fraction of all time, so that one slow drawing is
    paid back later; and this drawing stays within the fraction of the time since the last one, so that a pause is not
    saved up for a burst. The first drawing is free, and so is one that is asked for, but both count.

    Parameters
    ----------
    fraction : float
        Between 0 (only what is asked for) and 1 (every time).
    clock : callable
        Returns the time in seconds.
    """

    def __init__(self, fraction: float, clock: Clock) -> None:
        self.fraction = checked_fraction(fraction)
        self._clock = clock
        self._begin: float | None = None
        self._spent = 0.0
        self._last: tuple[float, float] | None = None  # when the last drawing ended, and how long it took

    def allows(self) -> bool:
        """Tell whether a drawing now stays within the budget."""
        if self.fraction in (0.0, 1.0):
            return self.fraction == 1.0
        now = self._clock()
        if self._begin is None:
            self._begin = now
        if self._last is None:
            return True
        ended, expected = self._last
        in_all = self._spent + expected <= self.fraction * (now - self._begin + expected)
        since_last = expected <= self.fraction * (now - ended + expected)
        return in_all and since_last

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Count the time of the block as drawing."""
        begin = self._clock()
        if self._begin is None:
            self._begin = begin
        try:
            yield
        finally:
            end = self._clock()
            self._spent += end - begin
            self._last = (end, end - begin)


def checked_fraction(value: float) -> float:
    """Return a fraction of the time, from 0 to 1."""
    fraction = _checks.real("max_fraction_spent_plotting", value, minimum=0.0)
    if fraction > 1.0:
        raise InvalidArgument(f"max_fraction_spent_plotting must be at most 1, not {fraction:g}")
    return fraction

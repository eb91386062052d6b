"""How much time may go into drawing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from myrnn import _checks
from myrnn.errors import InvalidArgument

Clock = Callable[[], float]
Kind = Literal["whole", "lines"]

# A nicer picture may make the next ones wait for this share of the time so far.
_WORTH = 0.25


@dataclass
class Measured:
    """A drawing under way; None is the kind of one that was given up."""

    kind: Kind | None


class DrawingBudget:
    """Decide when a live plot may draw, so that drawing takes at most a fraction of the time.

    Time earns credit at the rate of the fraction, and a drawing takes what it costs: one that was slower than expected
    leaves a debt that is paid back first. No more is saved than the dearest drawing costs, and a drawing of the lines
    also stays within the fraction of the time since the last one, so that a pause does not end in a burst.

    There are two kinds of drawing, the whole picture and only the lines that move. For each, the cheaper one of the
    last two stands for the next: a single slow one is no rule. The first drawing of all is free, and so is one that is
    asked for, but both count.

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
        self._costs: dict[Kind, tuple[float, float]] = {}  # of the last two drawings
        self._credit = 0.0
        self._begin: float | None = None
        self._seen = 0.0  # until when time has been turned into credit
        self._ended = 0.0  # when the last drawing did

    def restart(self) -> None:
        """Count time and drawing from now on; what drawings cost stays known."""
        self._begin = self._seen = self._ended = self._clock()
        self._credit = 0.0

    def allows(self, kind: Kind = "whole") -> bool:
        """Tell whether a drawing now stays within the budget."""
        if self.fraction in (0.0, 1.0):
            return self.fraction == 1.0
        self._earn()
        if not self._costs:
            return True
        cost = self._expected(kind)
        credit = self._credit
        if kind == "lines":
            credit = min(credit, self.fraction * (self._seen - self._ended))
        return cost <= credit + self.fraction * cost  # its own time earns credit too

    def worth_waiting(self, kind: Kind = "whole") -> bool:
        """Tell whether saving for such a drawing is short against the time so far."""
        if self.fraction == 1.0:
            return True
        if self._begin is None or not self._costs:
            return False
        return self._expected(kind) <= _WORTH * self.fraction * (self._clock() - self._begin)

    @contextmanager
    def measured(self, kind: Kind = "whole") -> Iterator[Measured]:
        """Count the time of the block as a drawing; what it gives may still be told that it became another one."""
        self._earn()
        begin = self._clock()
        measured = Measured(kind)
        try:
            yield measured
        finally:
            end = self._clock()
            cost = end - begin
            if measured.kind is not None:
                self._costs[measured.kind] = (cost, self._costs.get(measured.kind, (cost, cost))[0])
                self._ended = end
            self._credit -= cost

    def _expected(self, kind: Kind) -> float:
        """Return what a drawing of this kind will cost; before there was one, what the other kind does."""
        return min(self._costs.get(kind) or next(iter(self._costs.values())))

    def _earn(self) -> None:
        now = self._clock()
        if self._begin is None:
            self._begin = self._seen = now
        self._credit += self.fraction * (now - self._seen)
        self._seen = now
        if self._costs:
            self._credit = min(self._credit, max(min(costs) for costs in self._costs.values()))


def checked_fraction(value: float) -> float:
    """Return a fraction of the time, from 0 to 1."""
    fraction = _checks.real("max_fraction_spent_plotting", value, minimum=0.0)
    if fraction > 1.0:
        raise InvalidArgument(f"max_fraction_spent_plotting must be at most 1, not {fraction:g}")
    return fraction

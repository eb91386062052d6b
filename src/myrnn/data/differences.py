"""Differences of a series, which a network can learn when the level itself never returns, and the way back."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from myrnn import _checks
from myrnn.data.encode import ROUNDING, PlainValues
from myrnn.data.symbols import Numbers
from myrnn.flat import offsets_of, places_from
from myrnn.intervals import Floats

MOST_DIFFERENCES, LONGEST_PERIOD = 2, 100_000
# Shorter series have no clear trend.
_STEPS_OF_A_TREND = 30
# A line through the series rises by this many standard deviations of the rest.
_RISE = 2.5


@dataclass(frozen=True)
class Differences(PlainValues):
    """The differences of a series that a network learns; by default none, so that it learns the series itself.

    Attributes
    ----------
    order : int
        How often the change from row to row is taken, 0 to 2.
    period : int or None
        The season: the change from this many rows before is taken, too.

    References
    ----------
    Box and Jenkins, "Time series analysis: forecasting and control", 1970, chapters 4 and 9.

    Examples
    --------
    >>> from myrnn.data import Differences, flat_sequences
    >>> Differences(order=1).of(flat_sequences([[1.0, 3.0, 6.0]])).rows.ravel().tolist()
    [2.0, 3.0]
    """

    order: int = 0
    period: int | None = None

    def __post_init__(self) -> None:
        """Check both."""
        _checks.integer("difference", self.order, minimum=0, maximum=MOST_DIFFERENCES)
        if self.period is not None:
            _checks.integer("period", self.period, minimum=2, maximum=LONGEST_PERIOD)

    @property
    def undefined_rows(self) -> int:
        """The number of first rows that have no difference."""
        return self.order + (self.period or 0)

    @cached_property
    def earlier(self) -> list[tuple[int, float]]:
        """The lags, and the factors of the rows before, whose sum a difference is added to."""
        # In terms of the lag operator B the differences are (1 - B)^order (1 - B^period).
        factors = np.ones(1)
        for lag in [1] * self.order + [self.period or 0] * (self.period is not None):
            factors = np.convolve(factors, [1.0, *[0.0] * (lag - 1), -1.0])
        return [(int(lag), -float(factors[lag])) for lag in np.flatnonzero(factors) if lag]

    def of(self, raw: Numbers) -> Numbers:
        """Return the differences of every series; the first `undefined_rows` rows of each have none."""
        if not self.undefined_rows:
            return raw
        offsets, steps = self._kept(raw)
        rows = raw.rows.astype(np.float64)
        return Numbers(rows[steps] - self._sum_before(rows, steps), offsets)

    def next_without(self, raw: Numbers) -> Floats:
        """Return what the next difference is added to, to give the next row, at every step of `of`; float64 (S, C)."""
        _, steps = self._kept(raw)
        return self._sum_before(raw.rows.astype(np.float64), steps + 1)

    def continued(self, known: Floats, changes: Floats) -> Floats:
        """Return the rows after the known ones, (T, C), from their differences (horizon, paths, C), path by path."""
        if not self.undefined_rows:
            return changes
        horizon, paths, columns = changes.shape
        rows = np.empty((self.undefined_rows + horizon, paths, columns))
        rows[: self.undefined_rows] = known[-self.undefined_rows :, np.newaxis]
        for step, change in enumerate(changes, self.undefined_rows):
            rows[step] = change + sum(factor * rows[step - lag] for lag, factor in self.earlier)
        return rows[self.undefined_rows :]

    def _kept(self, raw: Numbers) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the offsets of the differences, and the rows of the series that they belong to."""
        lengths = np.maximum(raw.lengths - self.undefined_rows, 0)
        return offsets_of(lengths), places_from(raw.offsets[:-1] + self.undefined_rows, lengths)

    def _sum_before(self, rows: Floats, steps: NDArray[np.int64]) -> Floats:
        found = np.zeros((len(steps), rows.shape[1]))
        for lag, factor in self.earlier:
            found += factor * rows[steps - lag]
        return found


def trend_of(raw: Numbers) -> tuple[int, float, float] | None:
    """Return a column with a trend, the rise of its line over the longest series, and the deviation, or None."""
    lengths = raw.lengths
    explained, rest, steps = np.zeros(raw.rows.shape[1]), np.zeros(raw.rows.shape[1]), 0
    rise, longest, largest = np.zeros(raw.rows.shape[1]), 0, np.abs(raw.rows).max(axis=0, initial=0)
    for begin, length in zip(raw.offsets[:-1].tolist(), lengths.tolist(), strict=True):
        if length < _STEPS_OF_A_TREND:
            continue
        time = np.arange(length) - (length - 1) / 2
        rows = raw.rows[begin : begin + length].astype(np.float64)
        rows = rows - rows.mean(axis=0)
        slope = time @ rows / (time @ time)
        line = np.square(slope) * (time @ time)
        explained, rest, steps = explained + line, rest + np.square(rows).sum(axis=0) - line, steps + length
        if length > longest:
            rise, longest = slope * length, length
    # The variance of a line is its squared rise, divided by 12.
    clear = explained * 12 > _RISE**2 * np.maximum(rest, 0)
    clear &= np.abs(rise) > ROUNDING * largest
    if not clear.any():
        return None
    column = int(np.argmax(np.where(clear, explained / np.maximum(explained + rest, 1e-300), 0)))
    return column, float(rise[column]), float(np.sqrt(max(rest[column], 0.0) / steps))

"""Where the values of a setting stand on an axis, whether they are numbers or words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn.plots._style import word_of

# Longer words than this would push each other away.
_LONGEST_WORD = 24
# Numbers whose largest is more times their smallest are shown by their logarithm.
_WIDE = 9


class Scale:
    """Where the values of a setting stand on an axis: numbers in their place, or by their logarithm; words evenly.

    Parameters
    ----------
    values : sequence of numbers, strings or None
    """

    def __init__(self, values: Sequence[Any]) -> None:
        distinct = list(dict.fromkeys(values))
        self.is_number = all(isinstance(value, int | float) for value in distinct)
        self.values = sorted(distinct) if self.is_number else distinct
        self.is_wide = self.is_number and self.values[0] > 0 and self.values[-1] > _WIDE * self.values[0]
        places = np.unique(self.places(self.values))
        self.low, self.high = places[0], places[-1]
        self.gap = float(np.diff(places).min()) if len(places) > 1 else 1.0

    def places(self, values: Sequence[Any]) -> NDArray[np.float64]:
        """Return where values stand."""
        if not self.is_number:
            index = {value: place for place, value in enumerate(self.values)}
            return np.array([index[value] for value in values], dtype=np.float64)
        numbers = np.array(values, dtype=np.float64)
        return np.log10(numbers) if self.is_wide else numbers

    def shares(self, values: Sequence[Any]) -> NDArray[np.float64]:
        """Return the places from 0 to 1."""
        if self.high == self.low:
            return np.full(len(values), 0.5)
        return (self.places(values) - self.low) / (self.high - self.low)

    def ticks(self, most: int) -> list[Any]:
        """Return values to write on the axis: all that there are, or of many numbers some round ones."""
        if not self.is_number or len(self.values) <= most:
            return self.values
        if self.is_wide:
            powers = range(int(np.floor(self.low)), int(np.ceil(self.high)) + 1)
            steps = (1, 2, 5) if self.high - self.low < 1.5 else (1, 3) if self.high - self.low < 4 else (1,)
            round_ones = [step * 10.0**power for power in powers for step in steps]
        else:
            from matplotlib.ticker import MaxNLocator

            round_ones = list(MaxNLocator(most - 2).tick_values(self.low, self.high))
        return [value for value in round_ones if self.values[0] <= value <= self.values[-1]]

    def label(self, axis: Any) -> None:
        """Write values on an axis of matplotlib."""
        ticks = self.ticks(8)
        axis.set_ticks(self.places(ticks), labels=[word(value) for value in ticks])


def word(value: Any) -> str:
    """Return a value as it stands on an axis."""
    if value is None:
        return "none"
    if isinstance(value, float):
        return f"{value:g}"
    return f"{value:,}" if isinstance(value, int) else word_of(str(value), _LONGEST_WORD)

"""Checks of the numbers that are to be drawn."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument


def columns(**named: ArrayLike) -> list[NDArray[np.float64]]:
    """Return the arguments as float64 (N,) arrays of one length N > 0."""
    found = []
    for name, values in named.items():
        try:
            column = np.asarray(values, dtype=np.float64)
        except (TypeError, ValueError):
            raise InvalidArgument(f"{name} must be a list of numbers, not {values!r}") from None
        if column.ndim != 1 or not len(column):
            raise InvalidArgument(f"{name} must be a list of at least one number, not of shape {column.shape}")
        found.append(column)
    if len({len(column) for column in found}) > 1:
        sizes = ", ".join(str(len(column)) for column in found)
        raise InvalidArgument(f"{', '.join(named)} must be equally long, not {sizes}")
    return found


def check_intervals(
    lengths: NDArray[np.float64], accuracy: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64]
) -> None:
    _checks.finite("lengths", lengths)
    outside = (accuracy < low - 1e-9) | (accuracy > high + 1e-9)
    if outside.any():
        i = int(np.argmax(outside))
        raise InvalidArgument(
            f"accuracy must lie between low and high, but at length {lengths[i]:.0f} it is {accuracy[i]:g}, "
            f"outside {low[i]:g} to {high[i]:g}"
        )

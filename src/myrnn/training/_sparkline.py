"""A curve in one line of text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from rich.console import Console

BLOCKS = "▁▂▃▄▅▆▇█"
# For terminals that know no blocks: more ink stands for more.
ASCII = ".:-=+*%@"


def curve_levels(console: Console) -> str:
    """Return the characters of curves that a console can show, from low to high."""
    return ASCII if console.options.ascii_only else BLOCKS


def sparkline(values: Sequence[float] | NDArray[np.float64], width: int, levels: str = BLOCKS) -> str:
    """Return the curve of `values` from their lowest to their highest, in at most `width` characters.

    Parameters
    ----------
    values : sequence of float (N,)
        Evenly spaced. Each character stands for the mean of N / `width` of them; what is not finite is left out, and a
        character without any other value is a space.
    width : int
        The most characters.
    levels : str
        The characters, from low to high.

    Examples
    --------
    >>> sparkline([0, 1, 2, 3, 4, 5, 6, 7], width=8)
    '▁▂▃▄▅▆▇█'
    >>> sparkline([3.0, 1.0, float("nan"), 1.0], width=8, levels=ASCII)
    '@. .'
    """
    numbers = np.asarray(values, dtype=np.float64)
    if not len(numbers) or width < 1:
        return ""
    starts = np.linspace(0, len(numbers), min(width, len(numbers)), endpoint=False).astype(np.intp)
    finite = np.isfinite(numbers)
    counts = np.add.reduceat(finite.astype(np.float64), starts)
    sums = np.add.reduceat(np.where(finite, numbers, 0.0), starts)
    means = np.divide(sums, counts, out=np.full(len(starts), np.nan), where=counts > 0)
    known = means[counts > 0]
    if not len(known):
        return " " * len(starts)
    low, span = known.min(), np.ptp(known)
    shares = (means - low) / (span if span > 0 else 1.0)
    top = len(levels) - 1
    return "".join(levels[round(share * top)] if np.isfinite(share) else " " for share in shares.tolist())

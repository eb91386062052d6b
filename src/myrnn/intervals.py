"""Intervals of shares, of differences of shares, and of means."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def shares(correct: ArrayLike, total: ArrayLike) -> Floats:
    """Return ``correct / total`` element by element, NaN where the total is 0."""
    right, tried = np.asarray(correct, dtype=np.float64), np.asarray(total, dtype=np.float64)
    return np.divide(right, tried, out=np.full(np.broadcast(right, tried).shape, np.nan), where=tried > 0)


def wilson_interval(correct: ArrayLike, total: ArrayLike, confidence: float = 0.95) -> Floats:
    """Return Wilson's interval for shares, float64 (..., 2): low and high, 0 and 1 where the total is 0."""
    # Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
    share = shares(correct, total)
    z = normal_of(confidence)
    spread = z**2 / np.maximum(np.asarray(total, dtype=np.float64), 1)
    centre = (share + spread / 2) / (1 + spread)
    half = np.sqrt(share * (1 - share) * spread + spread**2 / 4) / (1 + spread)
    # Rounding must not move the ends that are 0 and 1 exactly.
    low = np.where(share == 0, 0.0, np.maximum(centre - half, 0.0))
    high = np.where(share == 1, 1.0, np.minimum(centre + half, 1.0))
    ends = np.stack((low, high), axis=-1)
    return np.where(np.isnan(ends), np.array([0.0, 1.0]), ends)


def newcombe_interval(
    correct: ArrayLike, total: ArrayLike, other_correct: ArrayLike, other_total: ArrayLike, confidence: float = 0.95
) -> Floats:
    """Return the interval for the difference of two independent shares, the first minus the second: (..., 2)."""
    # It combines the two Wilson intervals and, unlike the usual one, stays within -1 and 1. Newcombe, "Interval
    # estimation for the difference between independent proportions: comparison of eleven methods", Statistics in
    # Medicine 17, 1998 (method 10).
    return np.stack(_reach(correct, total, other_correct, other_total, confidence), axis=-1)


def mean_difference_interval(
    correct: ArrayLike, total: ArrayLike, other_correct: ArrayLike, other_total: ArrayLike, confidence: float = 0.95
) -> tuple[float, Floats]:
    """Return the unweighted mean of N differences of two shares, and its interval."""
    # Zou and Donner, "Construction of confidence limits about effect measures: a general approach", Statistics in
    # Medicine 27, 2008 (limits of a sum from the limits of its parts).
    difference = shares(correct, total) - shares(other_correct, other_total)
    low, high = _reach(correct, total, other_correct, other_total, confidence)
    count, mean = len(difference), float(difference.mean())
    below = np.sqrt(np.sum((difference - low) ** 2)) / count
    above = np.sqrt(np.sum((high - difference) ** 2)) / count
    return mean, np.array([mean - below, mean + above])


def _reach(correct: Any, total: Any, other_correct: Any, other_total: Any, confidence: float) -> tuple[Floats, Floats]:
    """Return the distances of the two ends of each interval from the difference."""
    share, other = shares(correct, total), shares(other_correct, other_total)
    low, high = np.moveaxis(wilson_interval(correct, total, confidence), -1, 0)
    other_low, other_high = np.moveaxis(wilson_interval(other_correct, other_total, confidence), -1, 0)
    below = np.hypot(share - low, other_high - other)
    above = np.hypot(high - share, other - other_low)
    return share - other - below, share - other + above


def student_interval(mean: Any, error: Any, count: Any, confidence: float = 0.95) -> Floats:
    """Return Student's interval for means of `count` values with these errors, (..., 2); NaN for fewer than two."""
    reach = t_of(count, confidence) * error
    return np.stack((mean - reach, mean + reach), axis=-1)


def normal_of(confidence: float) -> float:
    """Return the half-width of an interval in standard errors that are known."""
    return NormalDist().inv_cdf((1 + confidence) / 2)


def t_of(count: NDArray[np.int64] | int, confidence: float) -> Floats:
    """Return the half-width of an interval in standard errors of so many values, float64; NaN for fewer than two."""
    import scipy  # imported late because it takes long

    freedom = np.asarray(count, dtype=np.float64) - 1
    return scipy.special.stdtrit(np.where(freedom > 0, freedom, np.nan), (1 + confidence) / 2)

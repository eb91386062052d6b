"""Confidence intervals of shares and of their differences."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from myrnn.results import Floats, shares, wilson_interval


def newcombe_interval(
    correct: ArrayLike, total: ArrayLike, other_correct: ArrayLike, other_total: ArrayLike, confidence: float = 0.95
) -> Floats:
    """Return the interval for the difference of two independent shares, the first less the other.

    It is made of the Wilson intervals of the two, and keeps within -1 and 1 where the usual one does not.

    Parameters
    ----------
    correct, total, other_correct, other_total : array_like of int, shape (...)
    confidence : float

    Returns
    -------
    ndarray, float64 (..., 2)
        Low and high.

    References
    ----------
    Newcombe, "Interval estimation for the difference between independent proportions: comparison of eleven methods",
    Statistics in Medicine 17, 1998 (method 10).
    """
    return np.stack(_reach(correct, total, other_correct, other_total, confidence), axis=-1)


def mean_difference_interval(
    correct: ArrayLike, total: ArrayLike, other_correct: ArrayLike, other_total: ArrayLike, confidence: float = 0.95
) -> tuple[float, Floats]:
    """Return the mean of N differences of two shares, each difference counting alike, and its interval.

    Parameters
    ----------
    correct, total, other_correct, other_total : array_like of int, shape (N,)
        Of each of N kinds of sequences, such as the lengths.
    confidence : float

    Returns
    -------
    mean : float
    interval : ndarray, float64 (2,)

    References
    ----------
    Zou and Donner, "Construction of confidence limits about effect measures: a general approach", Statistics in
    Medicine 27, 2008 (limits of a sum from the limits of its parts).
    """
    difference = shares(correct, total) - shares(other_correct, other_total)
    low, high = _reach(correct, total, other_correct, other_total, confidence)
    count, mean = len(difference), float(difference.mean())
    below = np.sqrt(np.sum((difference - low) ** 2)) / count
    above = np.sqrt(np.sum((high - difference) ** 2)) / count
    return mean, np.array([mean - below, mean + above])


def _reach(correct: Any, total: Any, other_correct: Any, other_total: Any, confidence: float) -> tuple[Floats, Floats]:
    """Return the two ends of each difference's interval."""
    share, other = shares(correct, total), shares(other_correct, other_total)
    low, high = np.moveaxis(wilson_interval(correct, total, confidence), -1, 0)
    other_low, other_high = np.moveaxis(wilson_interval(other_correct, other_total, confidence), -1, 0)
    below = np.hypot(share - low, other_high - other)
    above = np.hypot(high - share, other - other_low)
    return share - other - below, share - other + above

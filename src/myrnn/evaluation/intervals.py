"""Confidence intervals of shares, of their differences, and of rates over dependent steps."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.evaluation.steps import Steps, Values
from myrnn.results import Floats, shares, wilson_interval


def newcombe_interval(
    correct: ArrayLike, total: ArrayLike, other_correct: ArrayLike, other_total: ArrayLike, confidence: float = 0.95
) -> Floats:
    """Return the interval for the difference of two independent shares, the first minus the second: (..., 2).

    It combines the two Wilson intervals and, unlike the usual one, stays within -1 and 1. Newcombe, "Interval
    estimation for the difference between independent proportions: comparison of eleven methods", Statistics in Medicine
    17, 1998 (method 10).
    """
    return np.stack(_reach(correct, total, other_correct, other_total, confidence), axis=-1)


def mean_difference_interval(
    correct: ArrayLike, total: ArrayLike, other_correct: ArrayLike, other_total: ArrayLike, confidence: float = 0.95
) -> tuple[float, Floats]:
    """Return the unweighted mean of N differences of two shares, and its interval.

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
    """Return the distances of the two ends of each interval from the difference."""
    share, other = shares(correct, total), shares(other_correct, other_total)
    low, high = np.moveaxis(wilson_interval(correct, total, confidence), -1, 0)
    other_low, other_high = np.moveaxis(wilson_interval(other_correct, other_total, confidence), -1, 0)
    below = np.hypot(share - low, other_high - other)
    above = np.hypot(high - share, other - other_low)
    return share - other - below, share - other + above


# --- Steps that belong together ---------------------------------------------------------------------------------------

# The steps of one sequence are not independent: a model that loses track is wrong many times in a row. So the sampling
# unit is a cluster, a sequence or a block of a long one, and the intervals are those of cluster samples.


def ratio_interval(numerator: ArrayLike, denominator: ArrayLike, confidence: float = 0.95) -> Floats:
    """Return the interval for a ratio of two sums over M clusters, such as the mean loss of all steps of sequences.

    By Student's t with M - 1 degrees of freedom; NaN for fewer than two clusters. Cochran, "Sampling techniques", 3rd
    edition, 1977, chapter 6 (the ratio estimate and its variance).
    """
    return mean_ends(_one_ratio(numerator, denominator), confidence)[0]


def cluster_interval(correct: ArrayLike, total: ArrayLike, confidence: float = 0.95) -> Floats:
    """Return the interval for a share of steps that are right or wrong together within M clusters, from their counts.

    It is Wilson's interval for the effective number of steps: the number of independent steps that would give the same
    precision. If all clusters agree (above all, if all steps are right), the number of clusters is used instead, as if
    all steps of a cluster were one.

    Korn and Graubard, "Confidence intervals for proportions with small expected number of positive counts estimated
    from survey data", Survey Methodology 24, 1998 (the effective sample size); Dean and Pagano, "Evaluating confidence
    interval methods for binomial proportions in clustered surveys", Journal of Survey Statistics and Methodology 3,
    2015 (Wilson's interval with it).
    """
    return share_ends(_one_ratio(correct, total), confidence)[0]


class Ratios(NamedTuple):
    """Ratios of sums over clusters, for G groups.

    Attributes
    ----------
    value, variance : ndarray, float64 (G,)
        NaN for an empty group; the variance also for a single cluster.
    total : ndarray, float64 (G,)
        The sums of the denominators.
    clusters : ndarray, int64 (G,)
        The number of clusters in each group.
    """

    value: Floats
    variance: Floats
    total: Floats
    clusters: NDArray[np.int64]


def ratios(numerator: Floats, denominator: Floats, group: NDArray[np.int64], groups: int) -> Ratios:
    """Return the ratio of every group, from the numerators and denominators (M,) of its clusters."""
    total = np.bincount(group, denominator, groups)
    value = shares(np.bincount(group, numerator, groups), total)
    residual = numerator - value[group] * denominator
    clusters = np.bincount(group, minlength=groups)
    spread = shares(np.bincount(group, residual**2, groups), total**2)
    return Ratios(value, spread * clusters * shares(1.0, clusters - 1), total, clusters)


def ratios_of_steps(values: Values, steps: Steps, group: Values, groups: int) -> Ratios:
    """Return the means of `values` (S,) in every group, from the group of every step."""
    above, below, which = [], [], []
    for clusters, block in steps.blocks():
        there, place = np.unique(steps.cluster_of(clusters) * groups + group[block], return_inverse=True)
        above.append(np.bincount(place, values[block], len(there)))
        below.append(np.bincount(place, minlength=len(there)).astype(np.float64))
        which.append(there % groups)
    return ratios(np.concatenate(above), np.concatenate(below), np.concatenate(which), groups)


def mean_ends(found: Ratios, confidence: float) -> Floats:
    """Return the intervals of means, float64 (G, 2)."""
    reach = t_of(found.clusters, confidence) * np.sqrt(found.variance)
    return np.stack((found.value - reach, found.value + reach), axis=-1)


def share_ends(found: Ratios, confidence: float) -> Floats:
    """Return the intervals of shares, float64 (G, 2)."""
    share, clusters = found.value, found.clusters
    independent = shares(share * (1 - share), found.variance)
    # With few clusters the variance itself is uncertain, so use Student's t instead of the normal distribution.
    correction = (NormalDist().inv_cdf((1 + confidence) / 2) / t_of(clusters, confidence)) ** 2
    effective = np.where(np.isnan(independent), clusters, np.minimum(independent * correction, found.total))
    return wilson_interval(np.nan_to_num(share) * effective, effective, confidence)


def t_of(clusters: NDArray[np.int64] | int, confidence: float) -> Floats:
    """Return the half-width of an interval in standard errors, float64; NaN for fewer than two clusters."""
    freedom = np.asarray(clusters, dtype=np.float64) - 1
    return scipy.special.stdtrit(np.where(freedom > 0, freedom, np.nan), (1 + confidence) / 2)


def _one_ratio(numerator: ArrayLike, denominator: ArrayLike) -> Ratios:
    above, below = _checks.array("numerator", numerator), _checks.array("denominator", denominator)
    if (
        above.ndim != 1
        or above.shape != below.shape
        or not len(above)
        or {above.dtype.kind, below.dtype.kind} - {*"biuf"}
    ):
        raise InvalidArgument(
            f"there must be two numbers for each of at least one cluster, not arrays of shapes {above.shape} and "
            f"{below.shape}"
        )
    group = np.zeros(len(above), dtype=np.int64)
    return ratios(above.astype(np.float64), below.astype(np.float64), group, 1)

"""Means and shares of the steps of sequences, with intervals: the steps of one sequence are not independent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks
from myrnn._user_code import warn
from myrnn.flat import Flat, checked_offsets, groups, offsets_of, owners_within
from myrnn.intervals import normal_of, shares, student_interval, t_of, wilson_interval
from myrnn.results import Floats

# With fewer sequences than this, each is cut into blocks, because variances of so few are uncertain. Schmeiser, "Batch
# size effects in the analysis of simulation output", Operations Research 30, 1982, finds that 10 to 30 blocks are
# enough.
_FEWEST_SEQUENCES, _BLOCKS = 10, 30
# The steps that are computed with at once, to limit memory.
_AT_ONCE = 2**18


# The steps of one sequence are not independent: a model that loses track is wrong many times in a row. So the sampling
# unit is a cluster, a sequence or a block of a long one, and the intervals are those of cluster samples.


@dataclass(frozen=True)
class Computed:
    """Values of all steps that are computed when some are read, to limit memory."""

    compute: Callable[[slice], NDArray[Any]]

    def __getitem__(self, steps: slice) -> NDArray[Any]:
        """Return the values of some consecutive steps."""
        return self.compute(steps)


# Values of all steps, an array (S, ...) or computed when needed.
Values = NDArray[Any] | Computed


@dataclass(frozen=True, eq=False)
class ClusteredSteps(Flat):
    """The layout of the S steps of N sequences."""

    offsets: NDArray[np.int64]  # (N + 1,): the start of each sequence, and the end of the last one

    @classmethod
    def given(cls, offsets: ArrayLike, count: int) -> ClusteredSteps:
        """Return the layout for checked offsets of sequences that have `count` steps in all."""
        return cls(checked_offsets(offsets, count))

    @property
    def total(self) -> int:
        """The number of steps, S."""
        return int(self.offsets[-1])

    @cached_property
    def clusters(self) -> NDArray[np.int64]:
        """The start of each cluster (a sequence, or a block of one if there are few) and the last end, (M + 1,)."""
        lengths = self.lengths[self.lengths > 0]
        if len(lengths) >= _FEWEST_SEQUENCES:
            return offsets_of(lengths)
        pieces = np.maximum(1, np.minimum(lengths, np.rint(lengths * _BLOCKS / lengths.sum()).astype(np.int64)))
        each = [np.diff(np.arange(count + 1) * length // count) for length, count in zip(lengths, pieces, strict=True)]
        return offsets_of(np.concatenate(each))

    @property
    def cluster_count(self) -> str:
        """The number of clusters in words, such as ``"200 sequences"`` or ``"30 blocks"``."""
        count = len(self.clusters) - 1
        return _checks.count_of(count, "sequence" if count == np.count_nonzero(self.lengths) else "block")

    def blocks(self) -> Iterator[tuple[slice, slice]]:
        """Yield blocks of steps, each of whole clusters: the clusters and the steps, to be computed with at once."""
        for clusters in groups(np.diff(self.clusters), _AT_ONCE):
            yield clusters, slice(*self.clusters[[clusters.start, clusters.stop]].tolist())

    def cluster_of(self, steps: slice) -> NDArray[np.int64]:
        """Return the cluster of some steps, int64."""
        return owners_within(steps, self.clusters)

    def position_of(self, steps: slice) -> NDArray[np.int64]:
        """Return the position of some steps in their sequences, from 1, int64."""
        return np.arange(steps.start, steps.stop) - self.offsets[owners_within(steps, self.offsets)] + 1

    def sums(self, values: Values) -> Floats:
        """Return the sums of `values` (S, ...) over every cluster, float64 (M, ...)."""
        parts = [
            np.add.reduceat(values[steps], self.clusters[clusters] - steps.start, axis=0, dtype=np.float64)
            for clusters, steps in self.blocks()
        ]
        return np.concatenate(parts)


def warn_of_lost_steps(lost: NDArray[np.bool_], steps: ClusteredSteps, what: str, consequence: str) -> None:
    """Warn once, for all steps, that outputs of a model at some of them are not finite."""
    if not lost.any():
        return
    first = int(lost.argmax())
    warn(
        f"the {what} of {int(lost.sum()):,} of {_checks.count_of(len(lost), 'step')} are not finite, the first at "
        f"[{first}], step {steps.position_of(slice(first, first + 1))[0]:,} of its sequence: {consequence}"
    )


class Ratios(NamedTuple):
    """Ratios of sums over clusters, for G groups; NaN for an empty one."""

    value: Floats
    variance: Floats  # NaN for a single cluster, too
    total: Floats  # the sums of the denominators
    clusters: NDArray[np.int64]  # the number of clusters in each group


def ratios(numerator: Floats, denominator: Floats, group: NDArray[np.int64], groups: int) -> Ratios:
    """Return the ratio of every group, from the numerators and denominators (M,) of its clusters."""
    # Cochran, "Sampling techniques", 3rd edition, 1977, chapter 6 (the ratio estimate and its variance).
    total = np.bincount(group, denominator, groups)
    value = shares(np.bincount(group, numerator, groups), total)
    residual = numerator - value[group] * denominator
    clusters = np.bincount(group, minlength=groups)
    spread = shares(np.bincount(group, residual**2, groups), total**2)
    return Ratios(value, spread * clusters * shares(1.0, clusters - 1), total, clusters)


def ratio(numerator: ArrayLike, denominator: ArrayLike) -> Ratios:
    """Return the ratio of two sums over M clusters, such as the mean loss of all steps of sequences."""
    above, below = np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
    return ratios(above, below, np.zeros(len(above), dtype=np.int64), 1)


def ratios_of_steps(values: Values, steps: ClusteredSteps, group: Values, groups: int) -> Ratios:
    """Return the means of `values` (S,) in every group, from the group of every step."""
    above, below, which = [], [], []
    for _, block in steps.blocks():
        there, place = np.unique(steps.cluster_of(block) * groups + group[block], return_inverse=True)
        above.append(np.bincount(place, values[block], len(there)))
        below.append(np.bincount(place, minlength=len(there)).astype(np.float64))
        which.append(there % groups)
    return ratios(np.concatenate(above), np.concatenate(below), np.concatenate(which), groups)


def mean_ends(found: Ratios, confidence: float) -> Floats:
    """Return the intervals of means by Student's t, float64 (G, 2); NaN for fewer than two clusters."""
    return student_interval(found.value, np.sqrt(found.variance), found.clusters, confidence)


def share_ends(found: Ratios, confidence: float) -> Floats:
    """Return the intervals of shares, float64 (G, 2): Wilson's, for the effective number of steps.

    It is the number of independent steps that would give the same precision. If all clusters agree (above all, if all
    steps are right), the number of clusters is used instead, as if all steps of a cluster were one.
    """
    # Korn and Graubard, "Confidence intervals for proportions with small expected number of positive counts estimated
    # from survey data", Survey Methodology 24, 1998 (the effective sample size); Dean and Pagano, "Evaluating
    # confidence interval methods for binomial proportions in clustered surveys", Journal of Survey Statistics and
    # Methodology 3, 2015 (Wilson's interval with it).
    share, clusters = found.value, found.clusters
    independent = shares(share * (1 - share), found.variance)
    # With few clusters the variance itself is uncertain, so use Student's t instead of the normal distribution.
    correction = (normal_of(confidence) / t_of(clusters, confidence)) ** 2
    effective = np.where(np.isnan(independent), clusters, np.minimum(independent * correction, found.total))
    return wilson_interval(np.nan_to_num(share) * effective, effective, confidence)

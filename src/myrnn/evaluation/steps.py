"""Steps of many sequences in flat arrays: their positions, and the clusters of intervals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks
from myrnn._user_code import warn
from myrnn.results import Floats
from myrnn.sequences import checked_offsets, groups, offsets_of, ramp

# With fewer sequences than this, each is cut into blocks, because variances of so few are uncertain. Schmeiser, "Batch
# size effects in the analysis of simulation output", Operations Research 30, 1982, finds that 10 to 30 blocks are
# enough.
_FEWEST_SEQUENCES, _BLOCKS = 10, 30
# The steps that are computed with at once, to limit memory.
_AT_ONCE = 2**18


class Values(Protocol):
    """Values of all steps, of which some are returned at a time: an array (S, ...), or computed when needed."""

    def __getitem__(self, steps: slice, /) -> NDArray[Any]:
        """Return the values of some consecutive steps."""
        ...


@dataclass(frozen=True, eq=False)
class Steps:
    """The layout of the S steps of N sequences.

    Attributes
    ----------
    offsets : ndarray, int64 (N + 1,)
        The start of each sequence, and the end of the last one.
    """

    offsets: NDArray[np.int64]

    @classmethod
    def given(cls, offsets: ArrayLike, count: int) -> Steps:
        """Return the layout for checked offsets of sequences that have `count` steps in all."""
        return cls(checked_offsets(offsets, count))

    def __len__(self) -> int:
        """Return the number of steps, S."""
        return int(self.offsets[-1])

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """T of every sequence, int64 (N,)."""
        return np.diff(self.offsets)

    @cached_property
    def position(self) -> NDArray[np.int64]:
        """The position of every step in its sequence, from 1, int64 (S,)."""
        return ramp(self.lengths) + 1

    @cached_property
    def clusters(self) -> NDArray[np.int64]:
        """The start of each cluster, and the end of the last one, int64 (M + 1,).

        A cluster is the sampling unit of intervals: a sequence, or a block of one if there are few.
        """
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

    def cluster_of(self, clusters: slice) -> NDArray[np.int64]:
        """Return the cluster of every step of some clusters, int64."""
        return np.repeat(np.arange(clusters.start, clusters.stop), np.diff(self.clusters)[clusters])

    def position_of(self, steps: slice) -> NDArray[np.int64]:
        """Return the position of some steps in their sequences, from 1, int64."""
        first, last = np.searchsorted(self.offsets, [steps.start, steps.stop - 1], side="right") - 1
        begins = self.offsets[first : last + 1]
        counts = np.diff(np.concatenate(([steps.start], begins[1:], [steps.stop])))
        return np.arange(steps.start, steps.stop) - np.repeat(begins, counts) + 1

    def sums(self, values: Values) -> Floats:
        """Return the sums of `values` (S, ...) over every cluster, float64 (M, ...)."""
        parts = [
            np.add.reduceat(values[steps], self.clusters[clusters] - steps.start, axis=0, dtype=np.float64)
            for clusters, steps in self.blocks()
        ]
        return np.concatenate(parts)


def warn_of_lost_steps(lost: NDArray[np.bool_], steps: Steps, what: str, consequence: str) -> None:
    """Warn once, for all steps, that outputs of a model at some of them are not finite."""
    if not lost.any():
        return
    first = int(lost.argmax())
    warn(
        f"the {what} of {int(lost.sum()):,} of {_checks.count_of(len(lost), 'step')} are not finite, the first at "
        f"[{first}], step {steps.position_of(slice(first, first + 1))[0]:,} of its sequence: {consequence}"
    )

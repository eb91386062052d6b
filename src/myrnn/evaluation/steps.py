"""Steps of many sequences in flat arrays: their positions, and the clusters of intervals."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks
from myrnn._user_code import warn
from myrnn.results import Floats
from myrnn.sequences import checked_offsets, offsets_of, ramp

# With fewer sequences than this, each is cut into blocks, because variances of so few are uncertain. Schmeiser, "Batch
# size effects in the analysis of simulation output", Operations Research 30, 1982, finds that 10 to 30 blocks are
# enough.
_FEWEST_SEQUENCES, _BLOCKS = 10, 30


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

    @cached_property
    def cluster(self) -> NDArray[np.int64]:
        """The cluster of every step, int64 (S,)."""
        return np.repeat(np.arange(len(self.clusters) - 1), np.diff(self.clusters))

    def sums(self, values: NDArray[np.generic]) -> Floats:
        """Return the sums of `values` (S, ...) over every cluster, float64 (M, ...)."""
        return np.add.reduceat(values, self.clusters[:-1], axis=0, dtype=np.float64)


def warn_of_lost_steps(lost: NDArray[np.bool_], steps: Steps, what: str, consequence: str) -> None:
    """Warn once, for all steps, that outputs of a model at some of them are not finite."""
    if not lost.any():
        return
    first = int(lost.argmax())
    warn(
        f"the {what} of {int(lost.sum()):,} of {_checks.count_of(len(lost), 'step')} are not finite, the first at "
        f"[{first}], step {steps.position[first]:,} of its sequence: {consequence}"
    )

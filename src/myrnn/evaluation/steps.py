"""Steps of many sequences in flat arrays: their places, and the clusters that intervals go by."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks
from myrnn._user_code import warn
from myrnn.results import Floats
from myrnn.sequences import checked_offsets, offsets_of, ramp

# With fewer sequences than this, each is cut into blocks: variances of so few are known badly. Schmeiser, "Batch size
# effects in the analysis of simulation output", Operations Research 30, 1982, finds that 10 to 30 blocks are enough.
_FEWEST_SEQUENCES, _BLOCKS = 10, 30


@dataclass(frozen=True, eq=False)
class Steps:
    """Where the S steps of N sequences stand.

    Attributes
    ----------
    offsets : ndarray, int64 (N + 1,)
        Where each sequence begins, and the end of the last one.
    """

    offsets: NDArray[np.int64]

    @classmethod
    def given(cls, offsets: ArrayLike, count: int) -> Steps:
        """Return the steps of sequences that have `count` of them in all; check that the offsets are such."""
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
        """The place of every step in its sequence, from 1, int64 (S,)."""
        return ramp(self.lengths) + 1

    @cached_property
    def clusters(self) -> NDArray[np.int64]:
        """Where each cluster begins, and the end of the last one, int64 (M + 1,).

        A cluster is what intervals take as drawn at random: a sequence, or a block of one where there are few.
        """
        lengths = self.lengths[self.lengths > 0]
        if len(lengths) >= _FEWEST_SEQUENCES:
            return offsets_of(lengths)
        pieces = np.maximum(1, np.minimum(lengths, np.rint(lengths * _BLOCKS / lengths.sum()).astype(np.int64)))
        each = [np.diff(np.arange(count + 1) * length // count) for length, count in zip(lengths, pieces, strict=True)]
        return offsets_of(np.concatenate(each))

    @property
    def cluster_count(self) -> str:
        """How many clusters there are, such as ``"200 sequences"`` or ``"30 blocks"``."""
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
    """Warn once, for all steps, that what a model says at some of them is not finite."""
    if not lost.any():
        return
    first = int(lost.argmax())
    warn(
        f"the {what} of {int(lost.sum()):,} of {_checks.count_of(len(lost), 'step')} are not finite, the first at "
        f"[{first}], step {steps.position[first]:,} of its sequence: {consequence}"
    )

"""Accuracy and other measures by the length of the sequence and by the position of the step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn.results import ENDS, Counted, HasTable, Shown, Table, counted, integer, share


@dataclass(frozen=True, repr=False, eq=False)
class LengthBuckets(Counted, HasTable):
    """Accuracy for sequences of about the same length.

    Attributes
    ----------
    shortest, longest : ndarray, int64 (B,)
        The lengths in each bucket, rising.
    total, correct : ndarray, int64 (B,)
        How many sequences of each bucket there were, and how many were classified rightly.
    confidence : float
        The level of the intervals.
    """

    shortest: NDArray[np.int64]
    longest: NDArray[np.int64]
    total: NDArray[np.int64]
    correct: NDArray[np.int64]
    confidence: float = 0.95

    @property
    def names(self) -> tuple[str, ...]:
        """What the buckets are called: ``"4"`` or ``"5 to 9"``."""
        pairs = zip(self.shortest.tolist(), self.longest.tolist(), strict=True)
        return tuple(str(low) if low == high else f"{low} to {high}" for low, high in pairs)

    def __repr__(self) -> str:
        """Say the accuracy at the two ends."""
        first, last = self.accuracy[[0, -1]]
        return f"LengthBuckets({first:.1%} at length {self.names[0]}, {last:.1%} at length {self.names[-1]})"

    def table(self) -> Table:
        """Return the accuracies, a row for a bucket; a terminal shows per cent.

        Its columns are ``shortest``, ``longest``, ``total``, ``correct``, ``accuracy``, ``low`` and ``high``.
        """
        names = dict(zip(self.shortest.tolist(), self.names, strict=True))
        return Table(
            f"Accuracy by length, % ({self.confidence:.0%} interval)",
            {
                "shortest": self.shortest,
                "longest": self.longest,
                **counted(self.correct, self.total, self.confidence),
            },
            (
                Shown("length", lambda row: names[row["shortest"]], is_number=False),
                share("accuracy", interval=ENDS),
                integer("total", "of"),
            ),
        )

    def plot(self, ax: Any = None, *, chance: float | None = None) -> Any:
        """Draw the accuracies, and a line at `chance` where it is given, and return the matplotlib axes."""
        from myrnn import plots

        return plots.plot_accuracy_by_bucket(self, chance=chance, ax=ax)


def length_buckets(lengths: NDArray[np.int64], right: NDArray[np.bool_], most: int, confidence: float) -> LengthBuckets:
    """Count how often sequences are classified rightly, by their length.

    Parameters
    ----------
    lengths : ndarray, int64 (N,)
    right : ndarray, bool (N,)
    most : int
        How many buckets to make at most: one for each length, or else such that about as many sequences are in each.
    confidence : float
        The level of the intervals.
    """
    distinct = np.unique(lengths)
    longest = distinct
    if len(distinct) > most:
        longest = np.unique(np.quantile(lengths, np.arange(1, most + 1) / most, method="inverted_cdf"))
    place = np.searchsorted(longest, lengths)
    # A bucket begins at the shortest length that was tried, not where the bucket before ends.
    shortest = distinct[np.searchsorted(distinct, np.concatenate(([-1], longest[:-1])), side="right")]
    total = np.bincount(place, minlength=len(longest))
    correct = np.bincount(place, weights=right, minlength=len(longest)).astype(np.int64)
    return LengthBuckets(shortest, longest.astype(np.int64), total, correct, confidence)

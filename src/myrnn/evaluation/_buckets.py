"""Accuracy by length, where there are too few sequences of each length to count it alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from myrnn._tables import ShownAsTable, new_table, per_cent
from myrnn.results import Counted


@dataclass(frozen=True, repr=False, eq=False)
class LengthBuckets(Counted, ShownAsTable):
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

    def rows(self) -> list[dict[str, Any]]:
        """Return one plain record a bucket: shortest, longest, total, correct, accuracy, low and high."""
        return [
            {
                "shortest": int(self.shortest[place]),
                "longest": int(self.longest[place]),
                "total": int(self.total[place]),
                "correct": int(self.correct[place]),
                "accuracy": float(self.accuracy[place]),
                "low": float(self.interval[place, 0]),
                "high": float(self.interval[place, 1]),
            }
            for place in range(len(self.total))
        ]

    def table(self) -> Table:
        """Return the accuracies as a Rich table, in per cent."""
        table = new_table(f"Accuracy by length, % ({self.confidence:.0%} interval)", "length", "accuracy", "of")
        for name, accuracy, ends, total in zip(self.names, self.accuracy, self.interval, self.total, strict=True):
            table.add_row(name, per_cent(float(accuracy), ends.tolist()), f"{total:,}")
        return table

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
    # The shortest length that is there: a bucket tells of no lengths that nobody tried.
    shortest = distinct[np.searchsorted(distinct, np.concatenate(([-1], longest[:-1])), side="right")]
    total = np.bincount(place, minlength=len(longest))
    correct = np.bincount(place, weights=right, minlength=len(longest)).astype(np.int64)
    return LengthBuckets(shortest, longest.astype(np.int64), total, correct, confidence)

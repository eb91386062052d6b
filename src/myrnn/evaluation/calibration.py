"""The accuracy of a classifier by the probability of the class that it predicts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn import _checks
from myrnn.results import ENDS, Counted, Result, Shown, Table, counted, integer, share, shares


@dataclass(frozen=True, repr=False, eq=False)
class Calibration(Counted, Result):
    """The accuracy of a classifier by its confidence, the probability of the class that it predicts.

    Attributes
    ----------
    edges : ndarray, float64 (M + 1,)
        The ends of M bins of probabilities; a bin includes its upper end.
    total, correct : ndarray, int64 (M,)
        The number of predictions in each bin, and of the correct ones.
    mean_probability : ndarray, float64 (M,)
        The mean of the probabilities in each bin; NaN in an empty bin.
    confidence : float
        The level of the intervals.

    Examples
    --------
    >>> from myrnn import classification_report
    >>> probabilities = [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]
    >>> calibration = classification_report(["a", "b", "b"], probabilities, ["a", "b"], [3, 5, 5], bins=2).calibration
    >>> calibration
    Calibration(3 predictions, expected calibration error 10.00%)
    >>> calibration.total, calibration.accuracy.round(3), calibration.mean_probability.round(3)
    (array([0, 3]), array([  nan, 0.667]), array([  nan, 0.767]))
    >>> round(calibration.excess, 3)
    0.1
    """

    edges: NDArray[np.float64]
    total: NDArray[np.int64]
    correct: NDArray[np.int64]
    mean_probability: NDArray[np.float64]
    confidence: float = 0.95

    @property
    def expected_error(self) -> float:
        """The expected calibration error: the mean distance between accuracy and mean probability.

        It is NaN without predictions.

        References
        ----------
        Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks", ICML 2017.
        """
        filled = self.total > 0
        if not filled.any():
            return float("nan")
        apart = np.abs(self.accuracy[filled] - self.mean_probability[filled])
        return float(np.average(apart, weights=self.total[filled]))

    @property
    def excess(self) -> float:
        """The mean probability minus the accuracy: above 0 for an overconfident classifier."""
        filled = self.total > 0
        if not filled.any():
            return float("nan")
        mean = np.average(self.mean_probability[filled], weights=self.total[filled])
        return float(mean - self.correct.sum() / self.total.sum())

    def __repr__(self) -> str:
        """Show the expected calibration error."""
        count = _checks.count_of(self.total.sum(), "prediction")
        return f"Calibration({count}, expected calibration error {self.expected_error:.2%})"

    def numbers(self) -> dict[str, Any]:
        """Return everything as plain values."""
        found = {"expected_error": self.expected_error, "excess": self.excess}
        numbers = {name: None if np.isnan(value) else value for name, value in found.items()}
        return {**numbers, "bins": self.rows()}

    def data(self) -> Table:
        """Return a row for every bin.

        Its columns are ``above``, ``up_to``, ``total``, ``correct``, ``mean_probability``, ``accuracy``, ``low`` and
        ``high``; an undefined share is None.
        """
        return self._table(np.arange(len(self.total)))

    def table(self) -> Table:
        """Return the bins that have predictions; terminals show per cent."""
        return self._table(np.flatnonzero(self.total))

    def _table(self, bins: NDArray[np.int64]) -> Table:
        counts = counted(self.correct[bins], self.total[bins], self.confidence)
        columns = {
            "above": self.edges[bins],
            "up_to": self.edges[bins + 1],
            "total": counts.pop("total"),
            "correct": counts.pop("correct"),
            "mean_probability": self.mean_probability[bins],
            **counts,
        }
        return Table(
            f"Accuracy by probability, % ({self.confidence:.0%} interval)",
            columns,
            (
                Shown("probability", lambda row: f"{100 * row['above']:.0f} to {100 * row['up_to']:.0f}", False),
                share("mean_probability", "mean probability"),
                share("accuracy", interval=ENDS),
                integer("total", "of"),
            ),
            caption=f"expected calibration error {self.expected_error:.2%}",
        )


def calibration(
    probability: NDArray[np.float64], right: NDArray[np.bool_], bins: int, confidence: float
) -> Calibration:
    """Count correct predictions by their probabilities (N,), in bins of equal width."""
    edges = np.linspace(0, 1, bins + 1)
    # The bin (a, b] of each probability; rounding may put one just above 1, and 0 belongs to the first bin.
    place = np.clip(np.searchsorted(edges, probability, side="left") - 1, 0, bins - 1)
    total = np.bincount(place, minlength=bins)
    return Calibration(
        edges,
        total,
        np.bincount(place, weights=right, minlength=bins).astype(np.int64),
        shares(np.bincount(place, weights=probability, minlength=bins), total),
        confidence,
    )

"""Whether a classifier is right as often as its probabilities say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from myrnn._tables import ShownAsTable, known, new_table, per_cent
from myrnn.results import Counted, shares


@dataclass(frozen=True, repr=False, eq=False)
class Calibration(Counted, ShownAsTable):
    """How often a classifier is right, by how sure it is: by the probability of the class that it predicts.

    Attributes
    ----------
    edges : ndarray, float64 (M + 1,)
        The ends of M bins of probabilities; a bin holds its upper end.
    total, correct : ndarray, int64 (M,)
        How many predictions were in each bin, and how many of them right.
    mean_probability : ndarray, float64 (M,)
        The mean of the probabilities in each bin; NaN where there is none.
    confidence : float
        The level of the intervals.
    """

    edges: NDArray[np.float64]
    total: NDArray[np.int64]
    correct: NDArray[np.int64]
    mean_probability: NDArray[np.float64]
    confidence: float = 0.95

    @property
    def expected_error(self) -> float:
        """The expected calibration error: how far accuracy and mean probability lie apart, in the mean of all.

        It is NaN where nothing was predicted.

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
        """The mean probability less the accuracy: above 0 for a classifier that is too sure of itself."""
        filled = self.total > 0
        if not filled.any():
            return float("nan")
        mean = np.average(self.mean_probability[filled], weights=self.total[filled])
        return float(mean - self.correct.sum() / self.total.sum())

    def __repr__(self) -> str:
        """Say the expected calibration error."""
        return f"Calibration({self.total.sum():,} predictions, expected calibration error {self.expected_error:.2%})"

    def rows(self) -> list[dict[str, Any]]:
        """Return one plain record a bin.

        Its keys are ``above``, ``up_to``, ``total``, ``correct``, ``mean_probability``, ``accuracy``, ``low`` and
        ``high``; a share of nothing is None.
        """
        return [
            {
                "above": float(self.edges[place]),
                "up_to": float(self.edges[place + 1]),
                "total": int(self.total[place]),
                "correct": int(self.correct[place]),
                "mean_probability": known(float(self.mean_probability[place])),
                "accuracy": known(float(self.accuracy[place])),
                "low": float(self.interval[place, 0]),
                "high": float(self.interval[place, 1]),
            }
            for place in range(len(self.total))
        ]

    def numbers(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {"expected_error": known(self.expected_error), "excess": known(self.excess), "bins": self.rows()}

    def table(self) -> Table:
        """Return the bins that hold predictions as a Rich table, in per cent."""
        title = f"Accuracy by probability, % ({self.confidence:.0%} interval)"
        caption = f"expected calibration error {self.expected_error:.2%}"
        table = new_table(title, "probability", "in the mean", "accuracy", "of", caption=caption)
        for place in np.flatnonzero(self.total):
            table.add_row(
                f"{100 * self.edges[place]:.0f} to {100 * self.edges[place + 1]:.0f}",
                per_cent(float(self.mean_probability[place])),
                per_cent(float(self.accuracy[place]), self.interval[place].tolist()),
                f"{self.total[place]:,}",
            )
        return table

    def plot(self, ax: Any = None) -> Any:
        """Draw accuracy against probability, and return the matplotlib axes."""
        from myrnn import plots

        return plots.plot_calibration(self, ax=ax)


def calibration(
    probability: NDArray[np.float64], right: NDArray[np.bool_], bins: int, confidence: float
) -> Calibration:
    """Count how often predictions of these probabilities are right.

    Parameters
    ----------
    probability : ndarray, float64 (N,)
        Of the classes that were predicted.
    right : ndarray, bool (N,)
    bins : int
        M, of equal width.
    confidence : float
        The level of the intervals.
    """
    edges = np.linspace(0, 1, bins + 1)
    # The bin (a, b] of each probability; rounding may put one a hair above 1, and 0 belongs to the first bin.
    place = np.clip(np.searchsorted(edges, probability, side="left") - 1, 0, bins - 1)
    total = np.bincount(place, minlength=bins)
    return Calibration(
        edges,
        total,
        np.bincount(place, weights=right, minlength=bins).astype(np.int64),
        shares(np.bincount(place, weights=probability, minlength=bins), total),
        confidence,
    )

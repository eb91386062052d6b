"""The record that training leaves."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn import plots
from myrnn.training._hooks import Report

COLUMNS = ("iteration", "loss", "accuracy")


@dataclass(frozen=True, repr=False, eq=False)
class History:
    """Loss and accuracy over a training, one mean per report.

    Attributes
    ----------
    iteration : ndarray, int64 (R,)
        How many iterations had been done at each report.
    loss : ndarray, float64 (R,)
        Mean cross-entropy since the report before, in nats.
    accuracy : ndarray, float64 (R,)
        Share of sequences classified rightly since the report before, each before the model learned from it.
    longest : int
        T of the longest sequence that was trained on.
    engine : str
        ``"native"`` or ``"mygrad"``.
    chance : float or None
        The accuracy of guessing, 1 / K, where it is known.
    """

    iteration: NDArray[np.int64]
    loss: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    longest: int = 0
    engine: str = "mygrad"
    chance: float | None = None

    @classmethod
    def from_reports(cls, reports: list[Report], longest: int, engine: str, chance: float | None = None) -> History:
        """Gather the reports of a training."""
        return cls(
            np.array([report.iteration for report in reports], dtype=np.int64),
            np.array([report.loss for report in reports], dtype=np.float64),
            np.array([report.accuracy for report in reports], dtype=np.float64),
            longest,
            engine,
            chance,
        )

    def joined(self, later: History) -> History:
        """Return this history and that of a training that went on from its end, and counts its iterations from 0."""
        done = int(self.iteration[-1]) if len(self) else 0
        return History(
            np.concatenate((self.iteration, done + later.iteration)),
            np.concatenate((self.loss, later.loss)),
            np.concatenate((self.accuracy, later.accuracy)),
            max(self.longest, later.longest),
            later.engine,
            later.chance,
        )

    def __len__(self) -> int:
        """Return the number of reports, R."""
        return len(self.iteration)

    def __repr__(self) -> str:
        """Say how far the training went and where it ended."""
        if not len(self):
            return "History(no report yet)"
        return (
            f"History({self.iteration[-1]:,} iterations, {len(self)} reports, "
            f"loss {self.loss[0]:.4f} to {self.loss[-1]:.4f}, "
            f"accuracy {self.accuracy[0]:.1%} to {self.accuracy[-1]:.1%})"
        )

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the columns iteration, loss and accuracy, one row a report, each number to its last digit."""
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            writer.writerows(zip(*(getattr(self, column).tolist() for column in COLUMNS), strict=True))

    def plot(self, axes: Any = None, label: str | None = None) -> Any:
        """Draw loss and accuracy against the iteration, and the level of guessing; return the matplotlib axes.

        Parameters
        ----------
        axes : two matplotlib Axes, optional
            Those of another training's plot, to compare; without them, in a new figure.
        label : str, optional
            The name of the training in the legend.
        """
        return plots.plot_history(self.iteration, self.loss, self.accuracy, axes=axes, chance=self.chance, label=label)

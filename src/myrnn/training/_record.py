"""What a training has come to so far."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from myrnn.results import LearningCurve
from myrnn.training._engines import Correct, Losses
from myrnn.training._hooks import Report
from myrnn.training._state import Snapshot

# No iteration: the losses and how many sequences were right.
NONE: tuple[Losses, Correct] = (np.empty(0), np.empty(0, dtype=np.int64))


class Record:
    """The reports of a training, and what its iterations came to since the last of them.

    Parameters
    ----------
    batch_size, classes : int
        B and K.

    Attributes
    ----------
    iteration, longest : int
        Iterations done, and the longest sequence so far.
    """

    def __init__(self, batch_size: int, classes: int) -> None:
        self._batch_size, self._classes = batch_size, classes
        self.iteration, self.longest = 0, 0
        self._reports: list[Report] = []
        # What was done since the last report: the loss of every iteration and how many sequences were right.
        self._losses: list[Losses] = []
        self._correct: list[Correct] = []

    def add(self, losses: Losses, correct: Correct, lengths: NDArray[np.int64]) -> None:
        """Add iterations: what each came to, and the lengths of their sequences."""
        self.longest = max(self.longest, int(np.max(lengths)))
        self.iteration += len(losses)
        self._losses.append(losses)
        self._correct.append(correct)

    @property
    def is_open(self) -> bool:
        """Whether there were iterations since the last report."""
        return bool(self._losses)

    @property
    def count(self) -> int:
        """How many reports there were."""
        return len(self._reports)

    def since(self) -> tuple[Losses, Correct]:
        """Return what the iterations since the last report came to, float64 and int64 (n,)."""
        return np.concatenate([NONE[0], *self._losses]), np.concatenate([NONE[1], *self._correct])

    def report(self) -> Report:
        """Return the means over the iterations since the last report."""
        losses, correct = self.since()
        sequences = len(losses) * self._batch_size
        return Report(self.iteration, sequences, float(np.mean(losses)), float(np.sum(correct)) / sequences)

    def close(self) -> Report:
        """Make a report of the iterations since the last one, and return it."""
        report = self.report()
        self._reports.append(report)
        self._losses, self._correct = [], []
        return report

    def reports(self, until: int) -> list[Report]:
        """Return the reports up to an iteration."""
        return [report for report in self._reports if report.iteration <= until]

    def history(self, engine: str) -> LearningCurve:
        """Return the reports so far, the last of them over what was done since the one before."""
        reports = [*self._reports, self.report()] if self.is_open else self._reports
        columns = {name: [getattr(report, name) for report in reports] for name in ("iteration", "loss", "accuracy")}
        return LearningCurve.from_columns(columns, longest=self.longest, engine=engine, chance=1 / self._classes)

    def go_to(self, snapshot: Snapshot, reports: list[Report]) -> None:
        """Be what it was at a snapshot, with the reports up to there."""
        self.iteration, self.longest, self._reports = snapshot.iteration, snapshot.longest, reports
        some = len(snapshot.losses) > 0
        self._losses, self._correct = ([snapshot.losses], [snapshot.correct]) if some else ([], [])

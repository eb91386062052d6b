"""The results of a training: its reports, and the iterations since the last of them, also as arrays of its state."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.learning_curve import ACCURACY, LearningCurve
from myrnn.targets import TargetKind
from myrnn.training.hooks import TrainingReport
from myrnn.training.native import Losses, Scores
from myrnn.training.outputs import metric_of, scores_dtype
from myrnn.training.state import TrainingState

Types = dict[str, type[np.generic]]


class Results(NamedTuple):
    """The results of iterations."""

    losses: Losses
    scores: Scores  # the number of right targets, or the sum of another score
    counted: NDArray[np.int64]  # the number of targets


class Reports:
    """The reports of a training, and the results since the last."""

    # `chance` is the accuracy of guessing a class, and `least_loss` a lower bound of the loss: 0, or minus infinity for
    # a user's loss.

    def __init__(self, batch_size: int, kind: TargetKind, chance: float | None, least_loss: float) -> None:
        self._batch_size, self._metric, self._chance = batch_size, metric_of(kind), chance
        self._least_loss = least_loss
        # The columns of the reports, in the order of a `TrainingReport`, and those of `Results`.
        self._columns: Types = {"iteration": np.int64, "sequences": np.int64, "loss": np.float64}
        self._columns[self._metric] = np.float64
        self._kept: Types = {"losses": np.float64, "scores": scores_dtype(kind), "counted": np.int64}
        self.none = Results(np.empty(0), np.empty(0, dtype=scores_dtype(kind)), np.empty(0, dtype=np.int64))
        self.iteration, self.longest = 0, 0
        self._reports: list[TrainingReport] = []
        # The results of the iterations since the last report.
        self._since: list[Results] = []

    def add(self, results: Results, lengths: NDArray[np.int64]) -> None:
        """Add iterations: their results, and the lengths of their sequences."""
        self.longest = max(self.longest, int(np.max(lengths)))
        self.iteration += len(results.losses)
        self._since.append(results)

    @property
    def is_open(self) -> bool:
        """Whether there were iterations since the last report."""
        return bool(self._since)

    @property
    def count(self) -> int:
        """The number of reports."""
        return len(self._reports)

    def since(self) -> Results:
        """Return the results of the iterations since the last report."""
        return Results(*map(np.concatenate, zip(self.none, *self._since, strict=True)))

    def report(self) -> TrainingReport:
        """Return the means over the iterations since the last report; the score of nothing is 0, like its loss."""
        since = self.since()
        sequences = len(since.losses) * self._batch_size
        score = float(np.sum(since.scores)) / max(1, int(since.counted.sum()))
        return TrainingReport(self.iteration, sequences, float(np.mean(since.losses)), score, self._metric)

    def close(self) -> TrainingReport:
        """Make a report of the iterations since the last one, and return it."""
        report = self.report()
        self._reports.append(report)
        self._since = []
        return report

    def reports(self, until: int) -> list[TrainingReport]:
        """Return the reports up to an iteration."""
        return [report for report in self._reports if report.iteration <= until]

    def history(self, engine: str) -> LearningCurve:
        """Return the reports so far; the last one covers everything since the one before."""
        reports = [*self._reports, self.report()] if self.is_open else self._reports
        names = ("iteration", "loss", self._metric)
        columns = {name: [getattr(report, name) for report in reports] for name in names}
        return LearningCurve.from_columns(columns, longest=self.longest, engine=engine, chance=self._chance)

    @property
    def names(self) -> set[str]:
        """The names of all arrays."""
        return {f"since.{name}" for name in self._kept} | {f"reports.{name}" for name in self._columns}

    def state(self) -> TrainingState:
        """Return the state without the reports."""
        values = {"iteration": self.iteration, "longest": self.longest}
        return TrainingState(values, {f"since.{name}": array for name, array in self.since()._asdict().items()})

    def reports_until(self, iteration: int) -> dict[str, NDArray[Any]]:
        """Return the reports up to an iteration as arrays."""
        reports = self.reports(iteration)
        return {
            f"reports.{name}": np.array([getattr(report, name) for report in reports], dtype=dtype)
            for name, dtype in self._columns.items()
        }

    def read_reports(self, state: TrainingState) -> list[TrainingReport]:
        """Return the reports of a state; raises InvalidArgument if they, or its other results, are invalid."""
        _checks.integer("longest", state.values.get("longest"), minimum=0)
        last = state.iteration - len(self._read_since(state).losses)
        columns = [state.arrays[f"reports.{name}"] for name in self._columns]
        for (name, dtype), column in zip(self._columns.items(), columns, strict=True):
            if column.dtype != dtype or column.shape != (len(columns[0]) if columns[0].ndim else 0,):
                raise InvalidArgument(f"reports.{name} must be {np.dtype(dtype)} of one dimension like the others")
            _checks.finite(f"reports.{name}", column)
        iterations, sequences, losses, scores = columns
        if not np.array_equal(iterations[-1:], [last] if last else []) or np.any(np.diff(iterations, prepend=0) < 1):
            raise InvalidArgument(f"the reports must rise to {last}, where the state's last one is")
        is_accuracy = self._metric == ACCURACY
        most, what = (1.0, "accuracies between 0 and 1") if is_accuracy else (np.inf, "errors of 0 or more")
        if np.any(sequences < 1) or np.any(losses < self._least_loss) or np.any((scores < 0) | (scores > most)):
            raise InvalidArgument(f"the reports must have sequences, losses of 0 or more and {what}")
        rows = zip(*(column.tolist() for column in columns), strict=True)
        return [TrainingReport(iteration, count, loss, score, self._metric) for iteration, count, loss, score in rows]

    def _read_since(self, state: TrainingState) -> Results:
        """Return the results of the iterations since the last report, checked."""
        found = [state.arrays[f"since.{name}"] for name in self._kept]
        names = " and ".join(f"since.{name}" for name in self._kept)
        types = [np.dtype(dtype) for dtype in self._kept.values()]
        if [array.dtype for array in found] != types or any(a.ndim != 1 or a.shape != found[0].shape for a in found):
            raise InvalidArgument(f"{names} must be {' and '.join(map(str, types))} of one length")
        for name, array in zip(self._kept, found, strict=True):
            _checks.finite(f"since.{name}", array)
        since = Results(*found)
        is_low = np.any(since.losses < self._least_loss) or np.any(since.scores < 0) or np.any(since.counted < 0)
        if is_low or len(since.losses) > state.iteration:
            raise InvalidArgument(f"{names} must be 0 or more, of iterations that were done")
        return since

    def go_to(self, state: TrainingState, reports: list[TrainingReport]) -> None:
        """Return to a state, with the reports up to there."""
        since = self._read_since(state)
        self.iteration, self.longest, self._reports = state.iteration, state.values["longest"], reports
        self._since = [since] if len(since.losses) else []

"""The results of a training as arrays of its state: its reports, and the iterations since the last of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.learning_curve import ACCURACY
from myrnn.targets import LABELS, TargetKind
from myrnn.training.hooks import TrainingReport
from myrnn.training.outputs import metric_of, scores_dtype
from myrnn.training.state import Results

Arrays = Mapping[str, NDArray[Any]]
Types = dict[str, type[np.generic]]


@dataclass(frozen=True)
class RecordForm:
    """The form of these arrays, which depends on the targets."""

    kind: TargetKind
    batch_size: int
    least_loss: float  # a lower bound of the loss: 0, or minus infinity for a user's loss

    @property
    def names(self) -> set[str]:
        """The names of all arrays."""
        return {f"since.{name}" for name in self._since} | {f"reports.{name}" for name in self._columns}

    @property
    def _columns(self) -> Types:
        """The columns of the reports, in the order of a `TrainingReport`."""
        return {"iteration": np.int64, "sequences": np.int64, "loss": np.float64, metric_of(self.kind): np.float64}

    @property
    def _since(self) -> Types:
        """The results that are kept of the iterations since the last report, in the order of `Results`."""
        # With labels, every sequence of an iteration counts, so the number is not stored.
        if self.kind == LABELS:
            return {"losses": np.float64, "correct": np.int64}
        return {"losses": np.float64, "scores": scores_dtype(self.kind), "counted": np.int64}

    def arrays(self, reports: Sequence[TrainingReport], since: Results) -> dict[str, NDArray[Any]]:
        """Return the arrays by name."""
        of_since = zip(self._since, (since.losses, since.scores, since.counted), strict=False)
        columns = {
            f"reports.{name}": np.array([getattr(report, name) for report in reports], dtype=dtype)
            for name, dtype in self._columns.items()
        }
        return {**{f"since.{name}": array for name, array in of_since}, **columns}

    def since(self, arrays: Arrays, iteration: int) -> Results:
        """Return the results of the iterations since the last report, checked; `iteration` were done in all."""
        found = [arrays[f"since.{name}"] for name in self._since]
        names = " and ".join(f"since.{name}" for name in self._since)
        types = [np.dtype(dtype) for dtype in self._since.values()]
        if [array.dtype for array in found] != types or any(a.ndim != 1 or a.shape != found[0].shape for a in found):
            raise InvalidArgument(f"{names} must be {' and '.join(map(str, types))} of one length")
        losses, *others = found
        for name, array in zip(self._since, found, strict=True):
            _checks.finite(f"since.{name}", array)
        if len(losses) > iteration or np.any(losses < self.least_loss) or any(np.any(array < 0) for array in others):
            raise InvalidArgument(f"{names} must be 0 or more, of iterations that were done")
        counted = others[1] if len(others) > 1 else np.full(len(losses), self.batch_size, dtype=np.int64)
        return Results(losses, others[0], counted)

    def reports(self, arrays: Arrays, last: int) -> list[TrainingReport]:
        """Return the reports, checked; `last` is the iteration of the last of them."""
        columns = [arrays[f"reports.{name}"] for name in self._columns]
        for (name, dtype), column in zip(self._columns.items(), columns, strict=True):
            if column.dtype != dtype or column.shape != (len(columns[0]) if columns[0].ndim else 0,):
                raise InvalidArgument(f"reports.{name} must be {np.dtype(dtype)} of one dimension like the others")
            _checks.finite(f"reports.{name}", column)
        iterations, sequences, losses, scores = columns
        if not np.array_equal(iterations[-1:], [last] if last else []) or np.any(np.diff(iterations, prepend=0) < 1):
            raise InvalidArgument(f"the reports must rise to {last}, where the state's last one is")
        metric = metric_of(self.kind)
        most, what = (1.0, "accuracies between 0 and 1") if metric == ACCURACY else (np.inf, "errors of 0 or more")
        if np.any(sequences < 1) or np.any(losses < self.least_loss) or np.any((scores < 0) | (scores > most)):
            raise InvalidArgument(f"the reports must have sequences, losses of 0 or more and {what}")
        rows = zip(*(column.tolist() for column in columns), strict=True)
        return [TrainingReport(iteration, count, loss, score, metric) for iteration, count, loss, score in rows]

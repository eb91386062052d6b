"""The learning curve of a training: loss and score, report by report."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn._checks import count_of
from myrnn.errors import InvalidArgument
from myrnn.results import Floats, Result, Table, integer, number, share, write_csv

# The score that a training reports beside its loss: accuracy for classes, squared error for numbers.
ACCURACY, SQUARED_ERROR = "accuracy", "squared_error"

# The most reports in the displayed table of a learning curve.
MOST_REPORTS = 20
# The columns that the CSV file of a learning curve may have.
CURVE_HEADERS = {
    header
    for metric in (ACCURACY, SQUARED_ERROR)
    for header in (
        ("iteration", "loss", metric),
        ("epoch", "loss", metric),
        ("epoch", "loss", metric, "validation_loss", f"validation_{metric}"),
    )
}

_Score = TypeVar("_Score")


class Scored(Generic[_Score]):
    """A result with a score beside its loss, also available under its metric: ``accuracy`` or ``squared_error``."""

    score: _Score
    metric: str

    @property
    def accuracy(self) -> _Score:
        """The score of classes; raises AttributeError for another metric."""
        return self._score(ACCURACY)

    @property
    def squared_error(self) -> _Score:
        """The score of numbers; raises AttributeError for another metric."""
        return self._score(SQUARED_ERROR)

    def _score(self, metric: str) -> _Score:
        if metric != self.metric:
            raise AttributeError(f"a {type(self).__name__} with {self.metric} has no {metric}")
        return self.score


def shown_score(metric: str, score: float) -> str:
    """Return a score as text: ``86.2%`` of accuracy, ``0.0213`` of squared error."""
    return f"{score:.1%}" if metric == ACCURACY else f"{score:.4g}"


def word_for(metric: str) -> str:
    """Return the display name of a metric."""
    return metric.replace("_", " ")


@dataclass(frozen=True, repr=False, eq=False)
class LearningCurve(Scored[Floats], Result):
    """Loss and accuracy during a training, one mean per report.

    `train` returns it.

    Attributes
    ----------
    step : ndarray, int64 (R,)
        The iterations or epochs done at each report. Also called ``iteration`` or ``epoch``, by the unit.
    loss : ndarray, float64 (R,)
        Mean loss since the previous report; cross-entropy is in nats.
    score : ndarray, float64 (R,)
        Also called ``accuracy`` or ``squared_error``, by the metric. Accuracy is the share of sequences, or of steps
        with a target, classified correctly since the previous report, each before the model learned from it; with
        several classes at once, the share of correct decisions. The squared error is the mean over all numbers.
    longest : int
        T of the longest training sequence.
    engine : str
        ``"native"`` or ``"mygrad"``.
    chance : float or None
        The accuracy of guessing, 1 / K, or 1 / 2 with several classes at once, if known.
    unit : {"iteration", "epoch"}
        The unit of the steps.
    metric : {"accuracy", "squared_error"}
        The kind of score.
    validation_loss, validation_score : ndarray, float64 (R,), or None
        The same on held-out sequences, if there are any. The score is also called ``validation_accuracy`` for classes.

    Examples
    --------
    >>> from myrnn import RNN, Adam, tasks, train
    >>> task = tasks.TwinHalves(pattern_length_max=2)
    >>> model = RNN(task.dim_input, 8, task.dim_output, rng=0)
    >>> history = train(model, task, Adam(model.parameters), 200, report_every=100, engine="mygrad", progress=False)
    >>> history.iteration, bool(history.loss[-1] < history.loss[0])
    (array([100, 200]), True)
    >>> history.table()
    Table('Learning curve': 2 rows of iteration, loss, accuracy)
    """

    step: NDArray[np.int64]
    loss: Floats
    score: Floats
    longest: int = 0
    engine: str = "mygrad"
    chance: float | None = None
    unit: str = "iteration"
    metric: str = field(default=ACCURACY, kw_only=True)
    validation_loss: Floats | None = field(default=None, kw_only=True)
    validation_score: Floats | None = field(default=None, kw_only=True)

    @classmethod
    def from_columns(cls, columns: Mapping[str, ArrayLike], **others: Any) -> LearningCurve:
        """Return the curve with these columns, named as in `columns`; `others` are further attributes."""
        unit = "epoch" if "epoch" in columns else "iteration"
        numbers: dict[str, Any] = {
            name: np.asarray(values, dtype=np.float64) for name, values in columns.items() if name != unit
        }
        metric = SQUARED_ERROR if SQUARED_ERROR in numbers else ACCURACY
        step, score = np.asarray(columns[unit], dtype=np.int64), numbers.pop(metric)
        numbers["validation_score"] = numbers.pop(f"validation_{metric}", None)
        return cls(step=step, unit=unit, score=score, metric=metric, **numbers, **others)

    @classmethod
    def from_csv(cls, content: bytes, **others: Any) -> LearningCurve:
        """Return the curve from a file of `to_csv`; `others` are further attributes.

        Raises
        ------
        ValueError
            When the columns are different, or a value is not a number.
        """
        try:
            header, *rows = csv.reader(io.StringIO(content.decode("utf-8"), newline=""))
        except csv.Error as error:
            raise ValueError(str(error)) from error
        if tuple(header) not in CURVE_HEADERS:
            raise ValueError("its columns must be iteration, loss, accuracy, or those of epochs")
        for place, row in enumerate(rows, start=1):
            if len(row) != len(header):
                raise ValueError(f"row {place} has {len(row)} columns, not {len(header)}")
        try:
            step = np.array([int(row[0]) for row in rows], dtype=np.int64)
        except OverflowError as error:
            raise ValueError(str(error)) from error
        numbers = {name: np.array([float(row[i]) for row in rows]) for i, name in enumerate(header) if i}
        return cls.from_columns({header[0]: step, **numbers}, **others)

    @property
    def columns(self) -> dict[str, NDArray[Any]]:
        """The columns of the curve by name, as in its CSV file; those of the validation only if there are any."""
        found: dict[str, NDArray[Any]] = {self.unit: self.step, "loss": self.loss, self.metric: self.score}
        kept = {"validation_loss": self.validation_loss, f"validation_{self.metric}": self.validation_score}
        return found | {name: values for name, values in kept.items() if values is not None}

    @property
    def validation_accuracy(self) -> Floats | None:
        """The accuracy on held-out sequences, float64 (R,), or None."""
        return self.validation_score if self.metric == ACCURACY else None

    @property
    def iteration(self) -> NDArray[np.int64]:
        """The iterations done at each report, int64 (R,)."""
        return self._steps("iteration")

    @property
    def epoch(self) -> NDArray[np.int64]:
        """The epochs done at each report, int64 (R,)."""
        return self._steps("epoch")

    def _steps(self, unit: str) -> NDArray[np.int64]:
        if unit != self.unit:
            raise AttributeError(f"a learning curve by {self.unit} has no attribute {unit!r}")
        return self.step

    def joined(self, later: LearningCurve) -> LearningCurve:
        """Return this curve followed by that of a training that resumed at its end and counts its steps from 0.

        Raises
        ------
        InvalidArgument
            When their units or metrics differ, or only one has a validation.
        """
        if self.columns.keys() != later.columns.keys():
            names = (", ".join(curve.columns) for curve in (self, later))
            raise InvalidArgument("learning curves of {} and of {} cannot be joined".format(*names))
        done = int(self.step[-1]) if len(self) else 0
        columns = {name: np.concatenate((values, later.columns[name])) for name, values in self.columns.items()}
        columns[self.unit] = np.concatenate((self.step, done + later.step))
        longest = max(self.longest, later.longest)
        return LearningCurve.from_columns(columns, longest=longest, engine=later.engine, chance=later.chance)

    def __len__(self) -> int:
        """Return the number of reports, R."""
        return len(self.step)

    def __repr__(self) -> str:
        """Say how far the training went and its last values."""
        if not len(self):
            return "LearningCurve(no report yet)"
        first, last = (shown_score(self.metric, self.score[place]) for place in (0, -1))
        return (
            f"LearningCurve({count_of(self.step[-1], self.unit)}, {count_of(len(self), 'report')}, "
            f"loss {self.loss[0]:.4f} to {self.loss[-1]:.4f}, {word_for(self.metric)} {first} to {last})"
        )

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the columns, such as iteration, loss and accuracy: one row per report, numbers at full precision."""
        write_csv({name: values.tolist() for name, values in self.columns.items()}, path)

    def table(self) -> Table:
        """Return the columns of at most 20 reports: the last one, and others at equal distances before it."""
        every = max(1, -(-len(self) // MOST_REPORTS))
        chosen = slice((len(self) - 1) % every, None, every)
        shown = [integer(self.unit)]
        for name in list(self.columns)[1:]:
            heading = word_for(name)
            shown.append(share(name, f"{heading}, %") if ACCURACY in name else number(name, ".4g", heading))
        columns = {name: values[chosen] for name, values in self.columns.items()}
        caption = f"{len(columns[self.unit])} of {len(self):,} reports" if every > 1 else None
        return Table("Learning curve", columns, shown, caption=caption)

    def data(self) -> Table:
        """Return the columns of all reports."""
        return Table("Learning curve", self.columns)

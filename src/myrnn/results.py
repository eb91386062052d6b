"""Results as values: a table of named columns, and the learning curve of a training.

Reports hold counts and build a `Table` from them, the one place where results become text, CSV, JSON and data frames.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn._checks import count_of
from myrnn._user_code import warn
from myrnn.errors import InvalidArgument, NotFinite

if TYPE_CHECKING:
    import pandas
    import polars
    from rich.table import Table as RichTable

Floats = NDArray[np.float64]
# A row by column names, with plain values; None for a missing value.
Row = Mapping[str, Any]
# The columns with the ends of an interval.
ENDS = ("low", "high")

# --- Shares -----------------------------------------------------------------------------------------------------------


def shares(correct: ArrayLike, total: ArrayLike) -> Floats:
    """Return ``correct / total`` element by element, NaN where the total is 0."""
    right, tried = np.asarray(correct, dtype=np.float64), np.asarray(total, dtype=np.float64)
    return np.divide(right, tried, out=np.full(np.broadcast(right, tried).shape, np.nan), where=tried > 0)


def wilson_interval(correct: ArrayLike, total: ArrayLike, confidence: float = 0.95) -> Floats:
    """Return Wilson's interval for a share.

    Parameters
    ----------
    correct, total : array_like of int, shape (...)
    confidence : float

    Returns
    -------
    ndarray, float64 (..., 2)
        Low and high; 0 and 1 where the total is 0.

    References
    ----------
    Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
    """
    share = shares(correct, total)
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    spread = z**2 / np.maximum(np.asarray(total, dtype=np.float64), 1)
    centre = (share + spread / 2) / (1 + spread)
    half = np.sqrt(share * (1 - share) * spread + spread**2 / 4) / (1 + spread)
    ends = np.stack((np.maximum(centre - half, 0.0), np.minimum(centre + half, 1.0)), axis=-1)
    return np.where(np.isnan(ends), np.array([0.0, 1.0]), ends)


class Counted:
    """The rates of a report that holds counts: `correct` of `total`, and the `confidence` of its intervals."""

    correct: NDArray[np.int64]
    total: NDArray[np.int64]
    confidence: float

    @property
    def accuracy(self) -> Floats:
        """The share classified correctly, float64 in the shape of `correct`; NaN where the total is 0."""
        return shares(self.correct, self.total)

    @property
    def interval(self) -> Floats:
        """The Wilson interval of each accuracy, float64 with one axis more: low and high."""
        return wilson_interval(self.correct, np.broadcast_to(self.total, self.correct.shape), self.confidence)


def counted(
    correct: ArrayLike, total: ArrayLike, confidence: float, prefix: str = "", independent: ArrayLike = 1
) -> dict[str, Any]:
    """Return the columns derived from counts (N,): total, correct, accuracy, and the ends of its interval.

    `independent` is the share of the total that the interval counts: less than 1 if some of it is correlated.
    """
    low, high = wilson_interval(np.multiply(correct, independent), np.multiply(total, independent), confidence).T
    columns = {"total": total, "correct": correct, "accuracy": shares(correct, total), "low": low, "high": high}
    return {f"{prefix}{name}": values for name, values in columns.items()}


# --- Cells ------------------------------------------------------------------------------------------------------------


def percent(share: float | None, interval: Sequence[float] | None = None) -> str:
    """Return a share in per cent, with its interval if there is one; a dash for None."""
    if share is None or math.isnan(share):
        return "-"
    if interval is None:
        return f"{100 * share:.1f}"
    # Three such columns fit into a line only without the zero of 100.0.
    middle, low, high = (f"{100 * number:.1f}".replace("100.0", "100") for number in (share, *interval))
    return f"{middle} ({low}-{high})"


def points(difference: float, interval: Sequence[float]) -> str:
    """Return a difference of two shares in percentage points, with its interval."""
    low, high = interval
    return f"{100 * difference:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"


def column_name(text: str) -> str:
    """Return a text as a column name: ``"no match"`` becomes ``"no_match"``."""
    return re.sub(r"\W+", "_", text.strip().lower()).strip("_")


@dataclass(frozen=True)
class Shown:
    """How a column of a table is displayed.

    Attributes
    ----------
    heading : str
    cell : callable
        Returns the text, plain or Rich, of the column in a row.
    is_number : bool
        Whether it is right-aligned.
    wraps : bool
        Whether its lines may be wrapped between words; lines that are aligned with each other may not.

    Examples
    --------
    >>> from myrnn import Table
    >>> percent_of = Shown("accuracy, %", lambda row: f"{100 * row['accuracy']:.0f}")
    >>> Table("Accuracy", {"accuracy": [1.0, 0.75]}, [percent_of]).cells("accuracy, %")
    ['100', '75']
    """

    heading: str
    cell: Callable[[Row], Any]
    is_number: bool = True
    wraps: bool = True


# A row that lacks the column, such as one of totals, has an empty cell.


def text(name: str, heading: str | None = None, *, is_number: bool = False) -> Shown:
    """Show a column as it is; None is empty."""
    return Shown(name if heading is None else heading, lambda row: _text(row.get(name)), is_number)


def integer(name: str, heading: str | None = None) -> Shown:
    """Show whole numbers with commas between thousands."""
    return Shown(name if heading is None else heading, lambda row: f"{row[name]:,}" if name in row else "")


def number(name: str, spec: str, heading: str | None = None) -> Shown:
    """Show numbers in a format such as ``".4f"``, a dash for None."""

    def cell(row: Row) -> str:
        return "" if name not in row else "-" if row[name] is None else format(row[name], spec)

    return Shown(name if heading is None else heading, cell)


def share(name: str, heading: str | None = None, interval: tuple[str, str] | None = None) -> Shown:
    """Show shares in per cent, with the interval in two other columns if the row has it."""

    def cell(row: Row) -> str:
        if name not in row:
            return ""
        low, high = interval or ("", "")
        return percent(row[name], (row[low], row[high]) if low in row else None)

    return Shown(name if heading is None else heading, cell)


def _text(value: Any) -> str:
    return "" if value is None else str(value)


# --- Tables -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, repr=False)
class Table:
    """A table of named columns, and how it is shown.

    Terminals and notebooks display it. Everything else has all columns at full precision: `rows`, `to_csv`, `to_json`,
    `to_pandas` and `to_polars`.

    Attributes
    ----------
    title : str
    columns : dict of str to list
        Plain values, equally many in each column; None for NaN.
    shown : sequence of Shown
        The displayed columns, by default all of them.
    caption : str or None
    styles : sequence of str or None
        The Rich style of every displayed row; by default none.
    breaks : set of int
        Rows that are followed by a rule.
    below : sequence of lists of (row, style)
        Further parts displayed below, such as totals, that are not data: rows by column names.

    Examples
    --------
    >>> table = Table("Accuracy", {"length": [2, 4], "accuracy": [1.0, 0.75]})
    >>> table
    Table('Accuracy': 2 rows of length, accuracy)
    >>> table.rows()[1]
    {'length': 4, 'accuracy': 0.75}
    >>> table.to_json()
    '[{"length": 2, "accuracy": 1.0}, {"length": 4, "accuracy": 0.75}]'
    """

    title: str
    columns: dict[str, Any]
    shown: Sequence[Shown] = ()
    caption: str | None = None
    styles: Sequence[str | None] = ()
    breaks: frozenset[int] = frozenset()
    below: Sequence[Sequence[tuple[Row, str | None]]] = ()

    def __post_init__(self) -> None:
        """Convert the values to plain Python."""
        columns = {name: _plain(values) for name, values in self.columns.items()}
        assert len({len(values) for values in columns.values()}) <= 1, "columns must be equally long"
        object.__setattr__(self, "columns", columns)
        object.__setattr__(self, "shown", tuple(self.shown or (text(name) for name in columns)))

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(next(iter(self.columns.values()), ()))

    def __repr__(self) -> str:
        """Return the title and the size."""
        return f"Table({self.title!r}: {count_of(len(self), 'row')} of {', '.join(self.columns)})"

    def __str__(self) -> str:
        """Return the table as `print` shows it."""
        return self.to_text().rstrip("\n")

    def rows(self) -> list[dict[str, Any]]:
        """Return one plain record per row."""
        return [dict(zip(self.columns, row, strict=True)) for row in zip(*self.columns.values(), strict=True)]

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the columns as CSV: None as an empty field, numbers at full precision."""
        write_csv(self.columns, path)

    def to_json(self) -> str:
        """Return the rows as a JSON list of objects."""
        return json.dumps(self.rows(), allow_nan=False)

    def to_pandas(self) -> pandas.DataFrame:
        """Return the columns as a pandas data frame; pandas must be installed."""
        import pandas

        return pandas.DataFrame(self.columns)

    def to_polars(self) -> polars.DataFrame:
        """Return the columns as a Polars data frame."""
        import polars

        return polars.DataFrame(self.columns, strict=False)

    def to_text(self, width: int = 80) -> str:
        """Return the text that a terminal of this width shows, without colours."""
        from rich.console import Console

        console = Console(width=width, highlight=False, color_system=None, force_terminal=False)
        with console.capture() as found:
            console.print(self)
        return found.get()

    def cells(self, heading: str) -> list[str]:
        """Return the displayed text of a column, including the rows below."""
        (column,) = (shown for shown in self.shown if shown.heading == heading)
        rows = [*self.rows(), *(row for part in self.below for row, _ in part)]
        return [str(column.cell(row)) for row in rows]

    def rich(self) -> RichTable:
        """Return a Rich table that is complete in a terminal of any width."""
        from myrnn.terminal import WholeTable

        table = WholeTable(title=self.title, caption=self.caption, title_style="bold")
        for column in self.shown:
            table.add_column(column.heading, justify="right" if column.is_number else "left", no_wrap=not column.wraps)
        styles = self.styles or [None] * len(self)
        for place, (row, style) in enumerate(zip(self.rows(), styles, strict=True)):
            cells = (column.cell(row) for column in self.shown)
            table.add_row(*cells, style=style, end_section=place in self.breaks)
        for part in self.below:
            table.add_section()
            for below, style in part:
                table.add_row(*(column.cell(below) for column in self.shown), style=style)
        return table

    def __rich__(self) -> RichTable:
        """Let Rich print it."""
        return self.rich()

    def _repr_mimebundle_(self, include: Sequence[str] = (), exclude: Sequence[str] = (), **_: Any) -> dict[str, str]:
        bundle: dict[str, str] = self.rich()._repr_mimebundle_(include, exclude)
        return bundle

    def _repr_html_(self) -> str:
        return self._repr_mimebundle_()["text/html"]


class HasTable(ABC):
    """A result with a table: a notebook displays the table, a prompt one line."""

    @abstractmethod
    def table(self) -> Table:
        """Return the numbers as a table."""

    def data(self) -> Table:
        """Return all numbers; by default the columns of the displayed table."""
        return self.table()

    def rows(self) -> list[dict[str, Any]]:
        """Return one plain record per row of `data`."""
        return self.data().rows()

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the columns of `data` as CSV."""
        self.data().to_csv(path)

    def _repr_mimebundle_(self, include: Sequence[str] = (), exclude: Sequence[str] = (), **_: Any) -> dict[str, str]:
        return self.table()._repr_mimebundle_(include, exclude)

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def write_csv(columns: Mapping[str, Sequence[Any]], path: str | os.PathLike[str]) -> None:
    """Write columns as CSV: None as an empty field, numbers at full precision."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


def _plain(values: Any) -> list[Any]:
    """Return a list of plain Python values, None for NaN."""
    listed = values.tolist() if isinstance(values, np.ndarray) else values
    listed = [value.item() if isinstance(value, np.generic) else value for value in listed]
    return [None if isinstance(value, float) and math.isnan(value) else value for value in listed]


# --- Predicted classes ------------------------------------------------------------------------------------------------

# The predicted class of a sequence whose logits are not finite. It equals no class, so it always counts as wrong.
NO_CLASS = -1


def is_lost(logits: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
    """Return which sequences have a logit that is not finite, bool (N,): their largest logit means nothing."""
    lost: NDArray[np.bool_] = ~np.isfinite(logits).all(axis=1)
    return lost


def predicted(logits: NDArray[np.floating[Any]]) -> NDArray[np.int64]:
    """Return the class of the largest logit of each sequence, int64 (N,); `NO_CLASS` if a logit is not finite."""
    return np.where(is_lost(logits), NO_CLASS, np.argmax(logits, axis=1))


def lost_message(lost: int, total: int, shortest: int, each: str = "sequence") -> str:
    """Say how many sequences, or steps, have logits that are not finite."""
    shortest_of = "the shortest of length" if each == "sequence" else "in a sequence of length"
    return f"the logits of {lost:,} of {count_of(total, each)} are not finite, {shortest_of} {shortest}"


def _message_of(lost: NDArray[np.bool_], lengths: NDArray[np.int64], each: str = "sequence") -> str | None:
    """Return the message for such sequences or steps, or None; `lengths` are those of the sequences."""
    return lost_message(int(lost.sum()), len(lost), int(lengths[lost].min()), each) if lost.any() else None


def check_finite(logits: NDArray[np.floating[Any]], lengths: NDArray[np.int64]) -> None:
    """Raise NotFinite if any sequence has logits that are not finite."""
    check_lost(is_lost(logits), lengths)


def check_lost(lost: NDArray[np.bool_], lengths: NDArray[np.int64]) -> None:
    """Raise NotFinite if the outputs of any sequence are not finite; `lost` marks them."""
    message = _message_of(lost, lengths)
    if message is not None:
        raise NotFinite(f"{message}: the model's numbers overflow there")


def warn_of_lost(lost: NDArray[np.bool_], lengths: NDArray[np.int64], each: str = "sequence") -> None:
    """Warn once, for all of them, that sequences or steps whose logits are not finite count as wrong."""
    message = _message_of(lost, lengths, each)
    if message is not None:
        warn(f"{message}: they count as wrong")


# --- Learning curves --------------------------------------------------------------------------------------------------

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
class LearningCurve(Scored[Floats], HasTable):
    """Loss and accuracy during a training, one mean per report.

    `train` returns it. ``History`` is another name for it.

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

    def plot(self, axes: Any = None, label: str | None = None) -> Any:
        """Draw loss and accuracy against the step, with the accuracy of guessing; return the Matplotlib axes.

        A notebook shows the figure. A script writes it to a file with `myrnn.plots.save_figure`; or it imports
        ``matplotlib.pyplot`` before drawing, and calls ``pyplot.show()``.

        Parameters
        ----------
        axes : two matplotlib Axes, optional
            Those of another training's plot, to compare; by default a new figure.
        label : str, optional
            The name of the training in the legend.
        """
        from myrnn import plots

        return plots.plot_learning_curve(self, axes=axes, label=label)


History = LearningCurve

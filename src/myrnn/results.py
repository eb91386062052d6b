"""Results as values: shares of counts, tables of named columns, and the base of all results.

A `Result` builds a `Table`, the one place where results become text, CSV, JSON and data frames. Its figures are
functions of `myrnn.plots`, which register themselves here: figures import results, never the reverse.
"""

from __future__ import annotations

import csv
import json
import math
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.intervals import Floats as Floats
from myrnn.intervals import shares, wilson_interval

if TYPE_CHECKING:
    import pandas
    import polars
    from rich.table import Table as RichTable

_Function = TypeVar("_Function", bound=Callable[..., Any])

# A row by column names, with plain values; None for a missing value.
Row = Mapping[str, Any]
# The columns with the ends of an interval.
ENDS = ("low", "high")
# Larger counts are not exact as a float.
MOST_COUNTED = 2**53

# --- Shares -----------------------------------------------------------------------------------------------------------


def pair_counts(first: NDArray[Any], second: NDArray[Any], shape: tuple[int, int]) -> NDArray[np.int64]:
    """Return how often each pair of two whole numbers occurs in rows (N,), int64 in this shape."""
    return np.bincount(first * shape[1] + second, minlength=shape[0] * shape[1]).reshape(shape)


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

    def _rates(self, prefix: str = "") -> dict[str, Any]:
        """Return the columns of `counted`, one row for each number in `correct`."""
        total = np.broadcast_to(self.total, self.correct.shape)
        return _rate_columns(self.correct.ravel(), total.ravel(), self.interval.reshape(-1, 2), prefix)


def counted(
    correct: ArrayLike, total: ArrayLike, confidence: float, prefix: str = "", independent: ArrayLike = 1
) -> dict[str, Any]:
    """Return the columns derived from counts (N,): total, correct, accuracy, and the ends of its interval.

    `independent` is the share of the total that the interval counts: less than 1 if some of it is correlated.
    """
    interval = wilson_interval(np.multiply(correct, independent), np.multiply(total, independent), confidence)
    return _rate_columns(correct, total, interval, prefix)


def _rate_columns(correct: ArrayLike, total: ArrayLike, interval: Floats, prefix: str) -> dict[str, Any]:
    low, high = interval.T
    columns = {"total": total, "correct": correct, "accuracy": shares(correct, total), "low": low, "high": high}
    return {f"{prefix}{name}": values for name, values in columns.items()}


def read_counts(given: Mapping[str, Any], names: Sequence[str]) -> list[NDArray[np.int64]]:
    """Return columns of counts, int64 (L,), from the stored rows by length of a report; the first one ascends."""
    rows = given.get("lengths")
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise InvalidArgument("'lengths' must be a list of records")
    columns = [
        np.array(
            [_checks.integer(name, row.get(name), minimum=0, maximum=MOST_COUNTED) for row in rows], dtype=np.int64
        )
        for name in names
    ]
    if (np.diff(columns[0]) < 1).any():
        raise InvalidArgument("the lengths must rise")
    return columns


def read_confidence(given: Mapping[str, Any]) -> float:
    """Return the level of the intervals of a stored report."""
    return _checks.real("confidence", given.get("confidence"), above=0, below=1)


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


def flat(values: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the dotted name and the value of everything in nested mappings."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{within}{name}.")
        else:
            yield f"{within}{name}", value


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
    >>> from myrnn.results import Table
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
    """Show a column as it is, floats with up to 12 digits; None is empty."""
    return Shown(name if heading is None else heading, lambda row: _text(row.get(name)), is_number)


def integer(name: str, heading: str | None = None) -> Shown:
    """Show whole numbers with commas between thousands."""
    return Shown(name if heading is None else heading, lambda row: f"{row[name]:,}" if name in row else "")


def number(name: str, spec: str, heading: str | None = None) -> Shown:
    """Show numbers in a format such as ``".4f"``, a dash for None."""

    def cell(row: Row) -> str:
        return "" if name not in row else "-" if row[name] is None else format(row[name], spec)

    return Shown(name if heading is None else heading, cell)


def digits_for(values: ArrayLike) -> str:
    """Return a format such as ``".2f"`` that shows how values differ: 4 digits of the largest, 3 of their spread."""
    array = np.asarray(values, dtype=np.float64)
    known = array[np.isfinite(array)]
    largest, spread = (np.abs(known).max(), np.ptp(known)) if known.size else (0.0, 0.0)
    if not largest:
        return ".4g"
    magnitude = math.floor(math.log10(largest))
    digits = max(4, 3 + magnitude - math.floor(math.log10(spread))) if spread else 4
    # Numbers of a usual size have the same decimals, so that they are aligned.
    return f".{max(0, min(digits, 15) - 1 - magnitude)}f" if -3 <= magnitude < 15 else f".{min(digits, 15)}g"


def share(name: str, heading: str | None = None, interval: tuple[str, str] | None = None) -> Shown:
    """Show shares in per cent, with the interval in two other columns if the row has it."""

    def cell(row: Row) -> str:
        if name not in row:
            return ""
        low, high = interval or ("", "")
        return percent(row[name], (row[low], row[high]) if low in row else None)

    return Shown(name if heading is None else heading, cell)


def _text(value: Any) -> str:
    return "" if value is None else f"{value:.12g}" if isinstance(value, float) else str(value)


def rounded(value: float) -> float:
    """Return a number without digits that only come from arithmetic, as in 0.5349999999999999: 12 are kept."""
    return float(f"{value:.12g}")


# --- Results and tables -----------------------------------------------------------------------------------------------


class Result(ABC):
    """The base of all results: a notebook displays and `print` shows its table, a prompt one line.

    Examples
    --------
    >>> import numpy as np
    >>> from myrnn.learning_curve import LearningCurve
    >>> curve = LearningCurve(np.array([100, 200]), np.array([0.69, 0.2]), np.array([0.5, 0.95]))
    >>> isinstance(curve, Result), curve.rows()[1]
    (True, {'iteration': 200, 'loss': 0.2, 'accuracy': 0.95})
    >>> [ax.get_ylabel() for ax in curve.plot(label="GRU")]
    ['loss', 'accuracy']
    """

    @abstractmethod
    def table(self) -> Table:
        """Return the numbers as a table."""

    def data(self) -> Table:
        """Return all numbers; by default the columns of the displayed table."""
        return self.table()

    def rows(self) -> list[dict[str, Any]]:
        """Return one plain record per row of `data`."""
        columns = self.data().columns
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the columns of `data` as CSV: None as an empty field, numbers at full precision."""
        write_csv(self.data().columns, path)

    def to_pandas(self) -> pandas.DataFrame:
        """Return the columns of `data` as a pandas data frame; pandas must be installed."""
        import pandas

        return pandas.DataFrame(self.data().columns)

    def to_polars(self) -> polars.DataFrame:
        """Return the columns of `data` as a Polars data frame."""
        import polars

        return polars.DataFrame(self.data().columns, strict=False)

    def plot(self, what: str | None = None, **options: Any) -> Any:
        """Draw the result, and return the Matplotlib axes.

        A notebook shows the figure. A script writes it to a file with `myrnn.plots.save_figure`; or it imports
        ``matplotlib.pyplot`` before drawing, and calls ``pyplot.show()``.

        Parameters
        ----------
        what : str, optional
            The name of the figure, if the result has several; by default its first one.
        **options
            Those of the function that draws the figure, such as ``ax``, the Axes to draw into; see `myrnn.plots`.

        Raises
        ------
        InvalidArgument
            When there is no such figure.
        """
        import myrnn.plots  # noqa: F401  # it registers the figures, and imports the results

        figures = next((_FIGURES[kind] for kind in type(self).__mro__ if kind in _FIGURES), None)
        if figures is None:
            raise InvalidArgument(f"there is no figure of {type(self).__name__}: it has a table, rows and to_csv")
        name = next(iter(figures)) if what is None else _checks.one_of("what", what, tuple(figures))
        return figures[name](self, **options)

    def __str__(self) -> str:
        """Return the table as `print` shows it."""
        return self.table().to_text().rstrip("\n")

    def _repr_mimebundle_(self, include: Sequence[str] = (), exclude: Sequence[str] = (), **_: Any) -> dict[str, str]:
        bundle: dict[str, str] = self.table().rich()._repr_mimebundle_(include, exclude)
        return bundle

    def _repr_html_(self) -> str:
        return self._repr_mimebundle_()["text/html"]


@dataclass(frozen=True, eq=False, repr=False)
class Table(Result):
    """A table of named columns, and how it is shown.

    It is a result that is its own table. Terminals and notebooks display it; everything else has all columns at full
    precision.

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
        return f"Table({self.title!r}: {_checks.count_of(len(self), 'row')} of {', '.join(self.columns)})"

    def table(self) -> Table:
        """Return the table itself."""
        return self

    def to_json(self) -> str:
        """Return the rows as a JSON list of objects."""
        return json.dumps(self.rows(), allow_nan=False)

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


# The figures of each kind of result by name, the default first.
_FIGURES: dict[type[Result], dict[str, Callable[..., Any]]] = {}


def draws(kind: type[Result]) -> Callable[[_Function], _Function]:
    """Register a function such as ``plot_states`` as a figure of a kind of result, by the name ``states``."""

    def register(function: _Function) -> _Function:
        _FIGURES.setdefault(kind, {})[function.__name__.removeprefix("plot_")] = function
        return function

    return register


def write_csv(columns: Mapping[str, Iterable[Any]], to: str | os.PathLike[str] | TextIO) -> None:
    """Write columns as CSV to a file: None and NaN as an empty field, numbers at full precision."""
    if isinstance(to, str | os.PathLike):
        with open(to, "w", newline="", encoding="utf-8") as file:
            return write_csv(columns, file)
    writer = csv.writer(to, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*map(_plain, columns.values()), strict=True))


def _plain(values: Any) -> list[Any]:
    """Return a list of plain Python values, None for NaN."""
    listed = values.tolist() if isinstance(values, np.ndarray) else values
    listed = [value.item() if isinstance(value, np.generic) else value for value in listed]
    return [None if isinstance(value, float) and math.isnan(value) else value for value in listed]

"""Two runs side by side: what differs in their settings, in their weights, and in what they can do."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn import _checks, plots
from myrnn.errors import InvalidArgument
from myrnn.evaluation import Comparison, difference_columns, difference_table
from myrnn.results import HasTable, Row, Shown, Table
from myrnn.runs._names import run_names
from myrnn.runs._side import Side, read_side
from myrnn.runs.listing import printable


@dataclass(frozen=True, repr=False, eq=False)
class RunComparison(HasTable):
    """What differs between two runs.

    Attributes
    ----------
    first, second : Side
        The runs as they were read.
    names : two strings
    """

    first: Side
    second: Side
    names: tuple[str, str]

    @property
    def settings(self) -> dict[str, tuple[Any, Any]]:
        """The settings that differ, under names such as ``"model.dim_recurrent"``; None stands for one that is not."""
        one, other = self.first.settings, self.second.settings
        pairs = {name: (one.get(name), other.get(name)) for name in {**one, **other}}
        return {name: pair for name, pair in pairs.items() if not _same(*pair)}

    @property
    def weight_distance(self) -> float | None:
        """The largest distance between two weights in the same place, 0 where all are the same.

        None where the two are not of one shape.
        """
        one, other = self.first.weights, self.second.weights
        if {name: array.shape for name, array in one.items()} != {name: array.shape for name, array in other.items()}:
            return None
        return max((_distance(one[name], other[name]) for name in one), default=0.0)

    @property
    def common_reports(self) -> int:
        """How many of the first points of the two histories are the same, bit for bit."""
        one, other = self.first.curve.columns, self.second.curve.columns
        pairs = [(one[name], other[name]) for name in one if name in other]
        length = min(len(column) for pair in pairs for column in pair)
        apart = np.any([before[:length] != after[:length] for before, after in pairs], axis=0)
        return int(apart.argmax()) if apart.any() else length

    @property
    def accuracy(self) -> Comparison | None:
        """The difference of accuracy at every length that both were tested on; None where there is none.

        Each was tested on the sequences of its own task. A run on data has no lengths of its own, see `table`.
        """
        one, other = self.first.lengths, self.second.lengths
        if one is None or other is None or not len(np.intersect1d(one.lengths, other.lengths)):
            return None
        return one.compare(other, self.names)

    def __repr__(self) -> str:
        """Say how much differs."""
        differ = f"{len(self.settings)} settings differ, weights {self.told()}"
        return f"RunComparison({self.names[0]} and {self.names[1]}: {differ})"

    def told(self) -> str:
        """Return in words how the weights of the two differ."""
        apart = self.weight_distance
        if apart is None:
            return "of other shapes"
        return f"up to {apart:.3g} apart" if apart else "the same"

    def settings_table(self) -> Table:
        """Return the settings that differ: setting, first and second."""
        pairs = self.settings.values()
        columns = {
            "setting": list(self.settings),
            "first": [one for one, _ in pairs],
            "second": [two for _, two in pairs],
        }
        names = zip(columns, ("setting", *self.names), strict=True)
        return Table("Settings that differ", columns, [_setting(name, heading) for name, heading in names])

    def table(self) -> Table:
        """Return accuracy by length of both, and the differences with their intervals.

        Of runs on data, whose tests hold all kinds of lengths, the accuracy on all of them, and by length where the two
        were counted in the same groups. Of runs that were not tested, a table without rows.
        """
        comparison = self.accuracy
        return self._bucket_table() if comparison is None else comparison.table()

    def plot(self) -> Any:
        """Draw accuracy by length of both, or where there is none loss and accuracy of both trainings.

        Returns
        -------
        matplotlib Axes, or two of them
        """
        if self.accuracy is not None:
            return self.accuracy.plot()
        axes = None
        for name, side in zip(self.names, (self.first, self.second), strict=True):
            curve = side.curve
            axes = plots.plot_history(curve.step, curve.loss, curve.accuracy, axes=axes, label=name)
        assert axes is not None
        axes[1].set_xlabel(self.first.unit)
        return axes

    def _bucket_table(self) -> Table:
        """Return the accuracy in each group of lengths, where these are the same in both, and in all."""
        one, other = self.first.buckets, self.second.buckets
        confidence = None if one is None else one.confidence
        groups: list[str] = []
        counts: list[NDArray[np.int64]] = [np.zeros(0, dtype=np.int64)] * 4
        if one is not None and other is not None:
            each = (one.correct, one.total, other.correct, other.total)
            counts = [np.atleast_1d(count.sum()) for count in each]
            groups = ["all"]
            if one.names == other.names:
                counts = [np.append(*pair) for pair in zip(each, counts, strict=True)]
                groups = [*one.names, "all"]
        return difference_table(
            "Accuracy, %",
            difference_columns(groups, counts, confidence or 0.95),
            [printable(name) for name in self.names],
            confidence,
            styles=["bold" if group == "all" else None for group in groups],
            breaks=frozenset({len(groups) - 2}),
        )


def compare_runs(first: str | os.PathLike[str], second: str | os.PathLike[str]) -> RunComparison:
    """Compare two run folders.

    Their models are not made again, so they may be of any class.

    Parameters
    ----------
    first, second : path
        Both on tasks, or both on data.

    Returns
    -------
    RunComparison

    Raises
    ------
    RunError
        When one is missing, not whole or damaged.
    InvalidArgument
        When both are the same folder, or one is on a task and the other on data.
    """
    folders = [Path(first), Path(second)]
    names = run_names(folders)
    one, other = (read_side(folder) for folder in folders)
    if one.unit != other.unit:
        task, data = (0, 1) if one.unit == "iterations" else (1, 0)
        raise InvalidArgument(
            f"{folders[task]} was trained on a task, {folders[data]} on data: there is nothing to compare"
        )
    return RunComparison(one, other, (names[0], names[1]))


def _same(one: Any, other: Any) -> bool:
    """Return whether two settings are the same; true is not 1."""
    return type(one) is type(other) and one == other


def _distance(one: Any, other: Any) -> float:
    if one.dtype == other.dtype and one.tobytes() == other.tobytes():
        return 0.0
    return float(np.max(np.abs(one.astype(np.float64) - other.astype(np.float64)), initial=0.0))


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return printable(value) if isinstance(value, str) else f"{value:,}" if type(value) is int else _checks.shown(value)


def _setting(name: str, heading: str) -> Shown:
    def cell(row: Row) -> str:
        return printable(row[name]) if name == "setting" else _text(row[name])

    return Shown(printable(heading), cell, is_number=False)

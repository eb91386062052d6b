"""What a sweep has found: tables, groups, figures."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from myrnn import _checks
from myrnn._tables import ShownAsTable, new_table
from myrnn.errors import InvalidArgument
from myrnn.registry import make
from myrnn.storage import FolderFormat, damaged
from myrnn.sweeps._figures import draw_lengths, draw_parallel, draw_setting, few_groups
from myrnn.sweeps._groups import (
    SEEDS,
    best_row,
    checked_metric,
    checked_names,
    setting_columns,
    short,
    summarize_groups,
    telling_columns,
)
from myrnn.sweeps._log import Finished
from myrnn.sweeps._points import Point, count_points, points
from myrnn.sweeps._run import FAILED
from myrnn.sweeps._study import MOST_STORED, Study, read_study
from myrnn.sweeps._table import Columns, Tables, collect

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# The study, and a few words of when and with what it was begun.
SWEEP = FolderFormat("myrnn sweep", 1, "sweep", "sweep.json", {}, index_bytes=MOST_STORED + 100_000)


class SweepResults(ShownAsTable):
    """The results of a sweep, in the order of its study.

    Attributes
    ----------
    folder : Path
    study : Study
    planned : int
        How many runs the study has.
    runs, lengths : mapping of str to sequence
        The columns of ``results.csv`` and ``lengths.csv``; what there is not is None.
    """

    def __init__(self, folder: Path, study: Study, planned: int, tables: Tables) -> None:
        self.folder, self.study, self.planned = folder, study, planned
        self.runs: Columns = tables.runs
        self.lengths: Columns = tables.lengths

    def __len__(self) -> int:
        """Return how many runs were done or failed."""
        return len(self.runs["run"])

    def __repr__(self) -> str:
        """Say how far it is and how well it went."""
        best = self.best()
        told = "" if best is None else f", best accuracy {best['accuracy']:.1%}"
        return f"SweepResults({self.study.name}: {len(self):,} of {self.planned:,} runs, {self.failed:,} failed{told})"

    @property
    def failed(self) -> int:
        """How many runs failed."""
        return sum(status == FAILED for status in self.runs["status"])

    @property
    def fallbacks(self) -> int:
        """How many runs went op by op where native code was to be used if there could be any."""
        asked = self.runs["training.engine"]
        return sum(a == "auto" and done == "mygrad" for a, done in zip(asked, self.runs["engine"], strict=True))

    def best(self, metric: str = "accuracy") -> dict[str, Any] | None:
        """Return the row of the best run by a metric, None where there is none."""
        row = best_row(self.runs, range(len(self)), checked_metric(metric))
        return None if row is None else {name: column[row] for name, column in self.runs.items()}

    def point(self, run: str) -> Point:
        """Return a run with all its settings, by its name in the tables."""
        for point in points(self.study):
            if point.run == run:
                return point
        raise InvalidArgument(f"the sweep has no run {_checks.shown(run)}")

    def groups(self, by: str | Iterable[str] | None = None, metric: str = "accuracy") -> list[dict[str, Any]]:
        """Return a record a group of runs: mean, spread and best of a metric.

        Parameters
        ----------
        by : str or iterable of str, optional
            The settings that the runs of a group have in common, such as ``"model.dim_recurrent"``; by default all that
            vary, but for the seeds and for what was drawn at random.
        metric : {"accuracy", "worst", "beyond", "loss"}
            What to compare: accuracy on the lengths that were trained on, on the worst of them, on longer ones, or the
            loss at the end.

        Returns
        -------
        list of dict
            The settings; ``runs``, ``failed``; ``mean``, ``spread`` (standard deviation), ``low``, ``high``; ``best``,
            the run.
        """
        names = self._default_groups() if by is None else self._checked(by)
        return summarize_groups(self.runs, names, checked_metric(metric))

    def table(self, by: str | Iterable[str] | None = None, metric: str = "accuracy") -> Table:
        """Return the groups as a Rich table."""
        records = self.groups(by, metric)
        names = [name for name in records[0] if name not in ("runs", "failed", "mean", "spread", "low", "high", "best")]
        columns = [short(name) for name in names]
        title = f"{self.study.name}: {metric}" + ("" if metric == "loss" else ", %")
        counts = ["runs", "failed"] if any(record["failed"] for record in records) else ["runs"]
        table = new_table(title, *(columns or ["study"]), *counts, "mean", "spread", "low", "high")
        for column, name in zip(table.columns, names, strict=False):
            if any(isinstance(record[name], str) for record in records):
                column.justify = "left"
        for record in records:
            settings = [_told(record[name]) for name in names] or [self.study.name]
            numbers = [_number(metric, record[name]) for name in ("mean", "spread", "low", "high")]
            table.add_row(*settings, *(f"{record[count]:,}" for count in counts), *numbers)
        return table

    def plot_lengths(self, by: str | Iterable[str] | None = None, ax: Any = None) -> Axes:
        """Draw accuracy by length, a line for the mean of each group and a band from its lowest run to its highest.

        Parameters
        ----------
        by : str or iterable of str, optional
            As for `groups`; by default as many of the settings that vary as make few lines.
        ax : matplotlib Axes, optional
            Where to draw; without it, in a new figure.
        """
        names = few_groups(self.runs, self._default_groups()) if by is None else self._checked(by)
        return draw_lengths(Tables(self.runs, self.lengths), names, self._chance, ax)

    def plot_setting(
        self, name: str, metric: str = "accuracy", by: str | Iterable[str] | None = None, ax: Any = None
    ) -> Axes:
        """Draw a metric against one setting, such as ``"optimizer.learning_rate"``: a dot a run, and lines of means.

        Parameters
        ----------
        name : str
        metric : {"accuracy", "worst", "beyond", "loss"}
        by : str or iterable of str, optional
            What the lines are, as for `groups`; by default the other settings that vary, as far as they make few.
        ax : matplotlib Axes, optional
            Where to draw; without it, in a new figure.
        """
        (setting,) = self._checked(name)
        others = (other for other in self._default_groups() if other != setting)
        names = few_groups(self.runs, others) if by is None else self._checked(by)
        return draw_setting(self.runs, setting, checked_metric(metric), names, ax)

    def plot_parallel(self, metric: str = "accuracy", ax: Any = None) -> Axes:
        """Draw every run as a line through the values of all settings that vary, to its metric."""
        return draw_parallel(self.runs, self.varied, checked_metric(metric), ax)

    @property
    def varied(self) -> tuple[str, ...]:
        """The settings that tell the runs apart, but for the seeds."""
        drawn = (name for name in setting_columns(self.runs) if name in self.study.drawn)
        return (*self._default_groups(), *(name for name in drawn if len(set(self.runs[name])) > 1))

    @property
    def _chance(self) -> float | None:
        """The accuracy of guessing, where it is the same for all runs."""
        classes = {make("task", name).dim_output for name in self.runs["task.name"]}
        return 1 / classes.pop() if len(classes) == 1 else None

    def _checked(self, by: str | Iterable[str]) -> tuple[str, ...]:
        return checked_names(setting_columns(self.runs), by)

    def _default_groups(self) -> tuple[str, ...]:
        return telling_columns(self.runs, without=(*SEEDS, *self.study.drawn))


def load_sweep(folder: str | os.PathLike[str]) -> SweepResults:
    """Return the results that stand in the folder of a sweep, whether it is at its end or not.

    Raises
    ------
    RunError
        When it is no such folder, or damaged.
    """
    path = Path(folder)
    given = SWEEP.read_index(path).get("study")
    if not isinstance(given, Mapping):
        damaged(path, SWEEP.index, "holds no study")
    try:
        study = read_study(given)
        planned = count_points(study)
    except InvalidArgument as error:
        damaged(path, SWEEP.index, f"cannot be used: {error}", error)
    return SweepResults(path, study, planned, collect(study, Finished(path)))


def _told(value: Any) -> str:
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _number(metric: str, value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if metric == "loss" else f"{100 * value:.1f}"

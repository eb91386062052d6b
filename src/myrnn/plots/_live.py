"""The live plot: a logger, a budget of time, a screen, and one panel for each metric."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.plots._budget import Clock, DrawingBudget, checked_fraction
from myrnn.plots._drawing import LiveDrawing, Shown
from myrnn.plots._layout import checked_colors, checked_grid, checked_size
from myrnn.plots._logger import LiveLogger, metric_names
from myrnn.plots._save import save_figure
from myrnn.plots._screens import Screen, find_screen

if TYPE_CHECKING:
    from matplotlib.figure import Figure

REPORTED = ("loss", "accuracy")  # what training reports


class LivePlot:
    """Record a training and draw it while it runs.

    It draws under the notebook's cell where it was created (JupyterLab, Notebook, VS Code, Colab), or in a window where
    matplotlib has one, and only records where there is neither. It is a hook of training too:
    ``train(..., hooks=[plotter])``. The axes then reach to the last iteration from the beginning, and the lines grow
    into them; at the end the axes close in on the lines. A drawing of the lines alone takes four or five milliseconds,
    so that with the fraction as it is about ten pictures a second are seen, also in a training that takes only one.

    Parameters
    ----------
    metrics : str, list of str, or dict
        The names to record. A dict maps each name to the colour of its training line, or to
        ``{"train": colour, "test": colour}``.
    max_fraction_spent_plotting : float
        The largest share of the time that goes into drawing: 0 draws only when asked, 1 at every record. Not bound by
        it are the first drawing, which in training comes before the first iteration, the one at the training's end,
        and `plot`.
    last_n_batches : int, optional
        Draw only this many of the latest iterations.
    nrows, ncols : int
        The grid of panels; rows are added when the metrics do not fit.
    figsize : pair of float, optional
        Width and height in inches.
    screen : Screen, optional
        Where to draw; by default the place that this process has.
    clock : callable
        Returns the time in seconds.

    Raises
    ------
    InvalidArgument
        When an argument is not what it should be.
    """

    def __init__(
        self,
        metrics: str | Iterable[str] | Mapping[str, Any],
        max_fraction_spent_plotting: float = 0.05,
        last_n_batches: int | None = None,
        nrows: int | None = None,
        ncols: int = 1,
        figsize: tuple[float, float] | None = None,
        *,
        screen: Screen | None = None,
        clock: Clock = time.perf_counter,
    ) -> None:
        self.metrics = metric_names(metrics)
        self.logger = LiveLogger(self.metrics)
        self._colors = checked_colors(metrics)
        self._grid = checked_grid(len(self.metrics), nrows, ncols)
        self._size = checked_size(figsize, self._grid)
        self._budget = DrawingBudget(max_fraction_spent_plotting, clock)
        self.last_n_batches = last_n_batches
        self.screen = find_screen() if screen is None else screen
        self._drawing = LiveDrawing(self.metrics, self._colors, self._grid, self._size, self.screen, self._budget)
        self._with_batches = True
        self._reported = 0

    @property
    def max_fraction_spent_plotting(self) -> float:
        """The largest share of the time that goes into drawing."""
        return self._budget.fraction

    @max_fraction_spent_plotting.setter
    def max_fraction_spent_plotting(self, value: float) -> None:
        self._budget.fraction = checked_fraction(value)

    @property
    def last_n_batches(self) -> int | None:
        """How many of the latest iterations are drawn; None for all."""
        return self._last_n_batches

    @last_n_batches.setter
    def last_n_batches(self, value: int | None) -> None:
        self._last_n_batches = None if value is None else _checks.integer("last_n_batches", value, minimum=1)

    @property
    def plot_objects(self) -> tuple[Figure, Any]:
        """The figure, and its axes: one Axes for one panel, else an array of them, as ``pyplot.subplots`` gives."""
        if not self._drawing.made:
            self._drawing.fitted(self._shown)
        return self._drawing.objects

    @property
    def train_metrics(self) -> dict[str, dict[str, Any]]:
        """The training record; see `LiveLogger.train_metrics`."""
        return self.logger.train_metrics

    @property
    def test_metrics(self) -> dict[str, dict[str, Any]]:
        """The test record; see `LiveLogger.test_metrics`."""
        return self.logger.test_metrics

    def set_train_batch(self, metrics: Mapping[str, Any], batch_size: int, plot: bool = True) -> None:
        """Record what was measured on a training batch, and draw it when the time allows.

        Parameters
        ----------
        metrics, batch_size
            As of `LiveLogger.set_train_batch`.
        plot : bool
            False only records, and leaves single batches out of the picture.

        Raises
        ------
        InvalidArgument
            When a name is unknown, a value is not a number, or the batch size is below 1.
        """
        self.logger.set_train_batch(metrics, batch_size)
        self._with_batches = plot
        if plot:
            self._drawing.when_due(self._shown)

    def set_train_epoch(self) -> None:
        """Record the means over the training batches since the last epoch, and draw when the time allows."""
        self.logger.set_train_epoch()
        self._drawing.when_due(self._shown)

    def set_test_batch(self, metrics: Mapping[str, Any], batch_size: int) -> None:
        """Record what was measured on a test batch; its mean is drawn with the test epoch."""
        self.logger.set_test_batch(metrics, batch_size)

    def set_test_epoch(self) -> None:
        """Record the means over the test batches since the last epoch, and draw when the time allows."""
        self.logger.set_test_epoch()
        self._drawing.when_due(self._shown)

    def plot(self, plot_batches: bool | None = None) -> None:
        """Draw all of the record now, whatever the time.

        Parameters
        ----------
        plot_batches : bool, optional
            Whether to draw single batches; by default as the last `set_train_batch` said.
        """
        if plot_batches is not None:
            self._with_batches = plot_batches
        self._drawing.now(self._shown)

    def show(self) -> None:
        """Draw now and show: in a notebook under the cell that runs, in a window until it is closed."""
        self.screen.show(self._drawing.fitted(self._shown), self._drawing.moving)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the picture of the whole record as SVG or PNG; see `save_figure`."""
        return save_figure(self._drawing.fitted(self._shown), path)

    def on_train_begin(self, start: Any) -> None:
        """Continue behind what is recorded, and draw the axes up to the last iteration to come.

        The iterations of each training count from 0. The time for drawing is counted from here on.
        """
        self._reported = 0
        self._with_batches = False
        self._drawing.begin(self._shown, getattr(start, "iterations", 0))

    def on_report(self, record: Any) -> None:
        """Record the means of a report (``iteration``, ``sequences``, ``loss``, ``accuracy``) as an epoch.

        Raises
        ------
        InvalidArgument
            When the plot has a metric that training does not report.
        """
        if unknown := [name for name in self.metrics if name not in REPORTED]:
            raise InvalidArgument(
                f"training reports {' and '.join(REPORTED)}, but the plot was created for {', '.join(unknown)} too; "
                f"use create_plot({list(REPORTED)})"
            )
        means = {name: getattr(record, name) for name in self.metrics}
        self.logger.set_train_batch(means, record.sequences, iterations=record.iteration - self._reported)
        self._reported = record.iteration
        self._with_batches = False
        self.set_train_epoch()

    def on_train_end(self, history: Any) -> None:
        """Draw the whole training, the axes just around it."""
        self._drawing.end(self._shown)

    def to_dict(self) -> dict[str, Any]:
        """Return the record and the plot's settings as plain lists, numbers and strings.

        Returns
        -------
        dict
            What `LiveLogger.to_dict` holds, and ``max_fraction_spent_plotting``, ``last_n_batches``, ``pltkwargs``
            (nrows, ncols, figsize), ``train_colors`` and ``test_colors`` (name to the colour that was given).
        """
        rows, columns = self._grid
        return {
            **self.logger.to_dict(),
            "max_fraction_spent_plotting": self.max_fraction_spent_plotting,
            "last_n_batches": self.last_n_batches,
            "pltkwargs": {"nrows": rows, "ncols": columns, "figsize": list(self._size)},
            "train_colors": {name: colors["train"] for name, colors in self._colors.items()},
            "test_colors": {name: colors["test"] for name, colors in self._colors.items()},
        }

    @classmethod
    def from_dict(cls, plotter_dict: Mapping[str, Any]) -> LivePlot:
        """Return the plot that `to_dict` describes; call `plot` or `show` to see it.

        Raises
        ------
        InvalidArgument
            When an entry is missing or not what it should be.
        """
        logger = LiveLogger.from_dict(plotter_dict)
        wanted = ("metric_names", "max_fraction_spent_plotting", "last_n_batches", "pltkwargs")
        missing = [key for key in (*wanted, "train_colors", "test_colors") if key not in plotter_dict]
        if missing:
            raise InvalidArgument(f"the record of a plot lacks {missing[0]!r}")
        names, fraction, last_n, layout = (plotter_dict[key] for key in wanted)
        colors = {split: plotter_dict[f"{split}_colors"] for split in ("train", "test")}
        new = cls({name: {s: colors[s].get(name) for s in colors} for name in names}, fraction, last_n, **layout)
        new.logger = logger
        return new

    def __repr__(self) -> str:
        """Name the metrics and count what was set."""
        return f"LivePlot of {self.logger!r}"

    @property
    def _shown(self) -> Shown:
        return Shown(self.logger.train_series, self.logger.test_series, self.last_n_batches, self._with_batches)


def create_plot(
    metrics: str | Iterable[str] | Mapping[str, Any],
    max_fraction_spent_plotting: float = 0.05,
    last_n_batches: int | None = None,
    nrows: int | None = None,
    ncols: int = 1,
    figsize: tuple[float, float] | None = None,
) -> tuple[LivePlot, Figure, Any]:
    """Create a live plot and show it, empty as it still is; it then changes in the place where it stands.

    Parameters
    ----------
    metrics, max_fraction_spent_plotting, last_n_batches, nrows, ncols, figsize
        As of `LivePlot`.

    Returns
    -------
    plotter : LivePlot
    figure : matplotlib Figure
    axes : matplotlib Axes, or ndarray of Axes
        One for each metric.

    Raises
    ------
    InvalidArgument
        When an argument is not what it should be.

    Examples
    --------
    >>> plotter, fig, ax = create_plot(["loss", "accuracy"])
    >>> plotter.set_train_batch({"loss": 0.7, "accuracy": 0.5}, batch_size=1, plot=False)
    >>> plotter.set_train_epoch()
    """
    plotter = LivePlot(metrics, max_fraction_spent_plotting, last_n_batches, nrows, ncols, figsize)
    figure, axes = plotter.plot_objects
    plotter.screen.update(figure)  # not counted as drawing: training has not begun
    return plotter, figure, axes

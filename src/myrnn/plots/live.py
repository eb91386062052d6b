"""The live plot: the record of a training, redrawn while it grows below a notebook's cell or in a window."""

from __future__ import annotations

import io
import os
from array import array
from collections.abc import Iterable, Mapping
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.learning_curve import ACCURACY
from myrnn.output import in_kernel
from myrnn.plots import style
from myrnn.plots.logger import LiveLogger, Series, metric_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLORS = {"train": style.BLUE, "test": style.VERMILLION}
MOST_POINTS = 2000  # points of a line: more than there are pixels
_DIGIT_SPACE = "\u2007"  # as wide as a digit, so that the legend does not move
_MARGIN = 0.02  # the margin at both ends, as a share of the iterations
# Inches. They are fixed, so that the axes do not move during a training.
_LEFT, _RIGHT, _TOP, _BOTTOM, _BETWEEN_ROWS, _BETWEEN_COLUMNS = 0.65, 0.35, 0.4, 0.55, 0.45, 0.7


class LivePlot(LiveLogger):
    """Record a training and draw it while it runs.

    It is drawn below the notebook's cell where it was created (JupyterLab, Notebook, VS Code, Colab), or in a window if
    Matplotlib can open one; otherwise it only records. It is also a hook of training: ``train(..., hooks=[plotter])``.
    The axes then extend to the last iteration from the beginning; at the end they shrink to the lines.

    Parameters
    ----------
    metrics : str, list of str, or dict
        The names to record. A dict maps each name to the colour of its training line, or to ``{"train": colour, "test":
        colour}``.
    max_fraction_spent_plotting : float
        The largest share of the time that is spent on drawing: 0 draws only on request, 1 at every record. After a
        drawing that took t seconds the next one waits for t (1 / fraction - 1). The drawings before and after a
        training, and `plot`, do not wait.
    last_n_batches : int, optional
        Draw only this many of the latest iterations.
    nrows, ncols : int
        The grid of panels; rows are added if the metrics do not fit.
    figsize : pair of float, optional
        Width and height in inches.

    Raises
    ------
    InvalidArgument
        When an argument is invalid.

    Examples
    --------
    >>> from myrnn import RNN, Adam, tasks, train
    >>> from myrnn.plots import LivePlot
    >>> plotter = LivePlot(["loss", "accuracy"])
    >>> task = tasks.TwinHalves(pattern_length_max=2)
    >>> model = RNN(task.dim_input, 8, task.dim_output, rng=0)
    >>> history = train(
    ...     model, task, Adam(model.parameters), 20, report_every=10, engine="mygrad", hooks=[plotter], progress=False
    ... )
    >>> plotter
    LivePlot(loss, accuracy: 2 training batches, 2 training epochs, 0 test batches, 0 test epochs)
    >>> bool((plotter.train_metrics["loss"]["epoch_data"] == history.loss).all())
    True
    """

    def __init__(
        self,
        metrics: str | Iterable[str] | Mapping[str, Any],
        max_fraction_spent_plotting: float = 0.05,
        last_n_batches: int | None = None,
        nrows: int | None = None,
        ncols: int = 1,
        figsize: tuple[float, float] | None = None,
    ) -> None:
        super().__init__(metrics)
        self.metrics = metric_names(metrics)
        self.max_fraction_spent_plotting = max_fraction_spent_plotting
        self.last_n_batches = last_n_batches
        colors = _checked_colors(self.metrics, metrics)
        grid = _checked_grid(len(self.metrics), nrows, ncols)
        size = _checked_size(figsize, grid)
        self.screen = find_screen()
        self._figure = self.screen.new_figure(size)
        self._axes, self._panels = _lay_out(self._figure, colors, grid)
        self._with_batches = True
        self._reported = 0  # iterations of the current training
        self._end = 0.0  # the last iteration of the current training, if known
        self._drawn_at, self._cost = -np.inf, 0.0  # the end of the last drawing, and its duration

    @property
    def max_fraction_spent_plotting(self) -> float:
        """The largest share of the time that is spent on drawing."""
        return self._fraction

    @max_fraction_spent_plotting.setter
    def max_fraction_spent_plotting(self, value: float) -> None:
        fraction = _checks.real("max_fraction_spent_plotting", value, minimum=0.0)
        if fraction > 1.0:
            raise InvalidArgument(f"max_fraction_spent_plotting must be at most 1, not {fraction:g}")
        self._fraction = fraction

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
        return self._figure, self._axes

    def set_train_batch(
        self, metrics: Mapping[str, Any], batch_size: int, plot: bool = True, *, iterations: int = 1
    ) -> None:
        """Record metrics of a training batch, and draw if the time allows.

        Parameters
        ----------
        metrics, batch_size, iterations
            As for `LiveLogger.set_train_batch`.
        plot : bool
            False only records, and omits single batches from the figure.

        Raises
        ------
        InvalidArgument
            When a name is unknown, a value is not a number, or a count is below 1. Nothing is recorded then.
        """
        super().set_train_batch(metrics, batch_size, iterations=iterations)
        self._with_batches = plot
        if plot:
            self._draw_when_due()

    def set_train_epoch(self) -> None:
        """Record the means over the training batches since the last epoch, and draw if the time allows."""
        super().set_train_epoch()
        self._draw_when_due()

    def set_test_epoch(self) -> None:
        """Record the means over the test batches since the last epoch, and draw if the time allows."""
        super().set_test_epoch()
        self._draw_when_due()

    def plot(self, plot_batches: bool | None = None) -> None:
        """Draw the whole record now, whatever the time.

        Parameters
        ----------
        plot_batches : bool, optional
            Whether to draw single batches; by default as in the last `set_train_batch`.
        """
        if plot_batches is not None:
            self._with_batches = plot_batches
        self.screen.update(self._updated())

    def show(self) -> None:
        """Draw now and show: in a notebook below the running cell, in a window until it is closed."""
        self.screen.show(self._updated())

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Save the figure of the whole record as SVG, PNG or PDF; see `save_figure`."""
        return style.save_figure(self._updated(), path)

    def on_train_begin(self, start: Any) -> None:
        """Continue after the recorded iterations, and draw axes up to the last iteration to come.

        The iterations of each training count from 0.
        """
        self._reported = 0
        self._with_batches = False
        self._end = self._position + getattr(start, "iterations", 0)
        if self.screen.live and self._fraction > 0:
            self.screen.update(self._updated(self._end))

    def on_report(self, record: Any) -> None:
        """Record the means of a report (``iteration``, ``sequences``, ``loss``, and its score by name) as an epoch.

        Raises
        ------
        InvalidArgument
            When the plot has a metric that the training does not report.
        """
        reported = ["loss", getattr(record, "metric", ACCURACY)]
        if unknown := [name for name in self.metrics if name not in reported]:
            raise InvalidArgument(
                f"training reports {' and '.join(reported)}, but the plot was created for {', '.join(unknown)} too; "
                f"use create_plot({reported})"
            )
        means = {name: getattr(record, name) for name in self.metrics}
        done, self._reported = record.iteration - self._reported, record.iteration
        self.set_train_batch(means, record.sequences, plot=False, iterations=done)
        self.set_train_epoch()

    def on_train_end(self, history: Any) -> None:
        """Draw the whole training with tight axes."""
        self._end = 0.0
        self.plot()

    @property
    def _position(self) -> float:
        """The last recorded iteration."""
        both = (*self.train.series.values(), *self.test.series.values())
        return max((series.position for series in both), default=0.0)

    def _draw_when_due(self) -> None:
        """Draw, unless that would exceed its share of the time since the last drawing."""
        begin = perf_counter()
        if not self.screen.live or self._fraction == 0:
            return
        if begin - self._drawn_at < self._cost * (1 / self._fraction - 1):
            return
        self.screen.update(self._updated(self._end))
        self._drawn_at = perf_counter()
        self._cost = self._drawn_at - begin

    def _updated(self, end: float = 0.0) -> Figure:
        """Update the figure; the axes extend to iteration `end` if the record does not."""
        now = self._position
        begin = 0.0 if self.last_n_batches is None else max(0.0, now - self.last_n_batches)
        end = now if self.last_n_batches is not None else max(now, end)
        for name, panel in zip(self.metrics, self._panels, strict=True):
            series = {"train": self.train.series.get(name), "test": self.test.series.get(name)}
            panel.update(series, (begin, end), self._with_batches)
        return self._figure


def create_plot(
    metrics: str | Iterable[str] | Mapping[str, Any],
    max_fraction_spent_plotting: float = 0.05,
    last_n_batches: int | None = None,
    nrows: int | None = None,
    ncols: int = 1,
    figsize: tuple[float, float] | None = None,
) -> tuple[LivePlot, Figure, Any]:
    """Create a live plot and show it empty; it is then updated in place.

    Parameters
    ----------
    metrics, max_fraction_spent_plotting, last_n_batches, nrows, ncols, figsize
        As for `LivePlot`.

    Returns
    -------
    plotter : LivePlot
    figure : matplotlib Figure
    axes : matplotlib Axes, or ndarray of Axes
        One for each metric.

    Raises
    ------
    InvalidArgument
        When an argument is invalid.

    Examples
    --------
    >>> plotter, fig, ax = create_plot(["loss", "accuracy"])
    >>> plotter.set_train_batch({"loss": 0.7, "accuracy": 0.5}, batch_size=1, plot=False)
    >>> plotter.set_train_epoch()
    """
    plotter = LivePlot(metrics, max_fraction_spent_plotting, last_n_batches, nrows, ncols, figsize)
    figure, axes = plotter.plot_objects
    plotter.screen.update(figure)
    return plotter, figure, axes


class NoScreen:
    """A process without a display: nothing is drawn."""

    live = False

    def new_figure(self, size: tuple[float, float]) -> Figure:
        """Return an empty figure of `size` inches that pyplot does not keep."""
        from matplotlib.figure import Figure

        return Figure(figsize=size, dpi=style.DPI)

    def update(self, figure: Figure) -> None:
        """Update the displayed figure in place."""

    def show(self, figure: Figure) -> None:
        """Show the figure on request."""


class NotebookScreen(NoScreen):
    """The output of a cell, replaced in place.

    It shows PNG instead of the Figure: this needs no ``%matplotlib`` line and no extension, and works in every front
    end.
    """

    live = True

    def __init__(self) -> None:
        self._handle: Any = None

    def update(self, figure: Figure) -> None:
        """Replace the figure in place; the first time, show it below the running cell."""
        if self._handle is None:
            self.show(figure)
        else:
            self._handle.update(_image(figure))

    def show(self, figure: Figure) -> None:
        """Show the figure below the running cell, and update it there from now on."""
        from IPython.display import display

        self._handle = display(_image(figure), display_id=True)


class WindowScreen(NoScreen):
    """A Matplotlib window; when the user closes it, drawing stops and training continues."""

    live = True

    def __init__(self) -> None:
        self._opened = False

    def new_figure(self, size: tuple[float, float]) -> Figure:
        """Return an empty figure that has a window."""
        from matplotlib import pyplot

        return pyplot.figure(figsize=size, dpi=style.DPI)

    def update(self, figure: Figure) -> None:
        """Draw into the window and process its events."""
        if not self._is_open(figure):
            return
        if not self._opened:
            figure.show()
            self._opened = True
        figure.canvas.draw_idle()
        figure.canvas.flush_events()

    def show(self, figure: Figure) -> None:
        """Keep the window open until the user closes it."""
        from matplotlib import pyplot

        if self._is_open(figure):
            pyplot.show()

    @staticmethod
    def _is_open(figure: Figure) -> bool:
        from matplotlib import pyplot

        return pyplot.fignum_exists(figure.number)


def find_screen() -> NoScreen:
    """Return the display of this process."""
    # Windows belong to the main thread; a notebook's output may be written from any.
    if style.in_main_thread() and style.window_backend():
        return WindowScreen()
    return NotebookScreen() if in_kernel() else NoScreen()


def _image(figure: Figure) -> Any:
    """Return the figure as a PNG that IPython displays."""
    from IPython.display import Image

    file = io.BytesIO()
    figure.savefig(file, format="png")
    return Image(data=file.getvalue(), format="png")


class _Panel:
    """The lines of one metric on one Axes: batches light, training epochs and test epochs strong."""

    def __init__(self, ax: Axes, name: str, colors: Mapping[str, Any]) -> None:
        style.style_axes(ax)
        ax.set_title(name, loc="left", fontsize=11)
        self.ax = ax
        self._batches = ax.plot([], [], color=colors["train"], alpha=0.35, linewidth=0.8)[0]
        # Dashes and squares distinguish the test from the training without colours.
        look: dict[str, Any] = {"linewidth": 1.8, "markersize": 4}
        self._epochs = {
            "train": ax.plot([], [], "-", color=colors["train"], **look)[0],
            "test": ax.plot([], [], "--", color=colors["test"], **look)[0],
        }
        self._legend: Any = None
        self.ax.set_ylim(0.0, 1.0, auto=None)  # the limits still follow new data
        self._set_span(0.0, 0.0)

    def update(self, series: Mapping[str, Series | None], span: tuple[float, float], with_batches: bool) -> None:
        """Draw the records after the first iteration of `span`, with tight axes."""
        train = series["train"]
        shown = _since(span[0], train.positions, train.values) if train and with_batches else _EMPTY
        self._batches.set_data(*thinned(*shown))
        entries = [(self._batches, "each batch")] if len(shown[0]) else []
        for split, line in self._epochs.items():
            record = series[split]
            if record is None or not record.epoch_means:
                continue
            x, y = _since(span[0], record.epoch_positions, record.epoch_means)
            line.set_data(*thinned(x, y))
            line.set_marker("" if len(x) > style.FEW_POINTS else {"train": "o", "test": "s"}[split])
            entries.append((line, f"{split} {record.epoch_means[-1]:{_DIGIT_SPACE}<6.4g}"))
        if entries:
            self._name_lines(entries)
            self.ax.relim()
            self.ax.autoscale_view(scalex=False)
        self._set_span(*span)

    def _name_lines(self, entries: list[tuple[Any, str]]) -> None:
        """Draw the legend above the axes, with the latest means, unless the user has made another one."""
        if self.ax.get_legend() is self._legend:
            look: dict[str, Any] = {"loc": "lower right", "bbox_to_anchor": (1.0, 1.0), "borderaxespad": 0.2}
            self._legend = self.ax.legend(*zip(*entries, strict=True), ncols=3, fontsize=9, frameon=False, **look)

    def _set_span(self, begin: float, end: float) -> None:
        margin = _MARGIN * max(end - begin, 1.0)
        self.ax.set_xlim(begin - margin, max(end, begin + 1.0) + margin)


Points = tuple[NDArray[np.float64], NDArray[np.float64]]
_EMPTY: Points = (np.empty(0), np.empty(0))


def _since(begin: float, positions: array[float], values: array[float]) -> Points:
    """Return the points after `begin`; positions never fall."""
    x, y = np.array(positions), np.array(values)
    start = int(np.searchsorted(x, begin, side="right")) if begin else 0
    return x[start:], y[start:]


def thinned(x: NDArray[np.float64], y: NDArray[np.float64]) -> Points:
    """Return at most `MOST_POINTS` points that look like all of them.

    The lowest and the highest of each run of neighbours are kept, so that no spike is lost; a run with a NaN leaves a
    gap.
    """
    if len(x) <= MOST_POINTS:
        return x, y
    edges = np.linspace(0, len(x), MOST_POINTS // 2 + 1).astype(np.intp)
    starts, middles = edges[:-1], (edges[:-1] + edges[1:]) // 2
    both = np.stack([np.minimum.reduceat(y, starts), np.maximum.reduceat(y, starts)], axis=1)
    return np.stack([x[starts], x[middles]], axis=1).ravel(), both.ravel()


def _checked_grid(panels: int, nrows: int | None, ncols: int) -> tuple[int, int]:
    """Return rows and columns for all panels; as in noggin, rows are added if they do not fit."""
    columns = _checks.integer("ncols", ncols, minimum=1)
    rows = 1 if nrows is None else _checks.integer("nrows", nrows, minimum=1)
    return max(rows, -(-panels // columns)), columns


def _checked_size(figsize: Any, grid: tuple[int, int]) -> tuple[float, float]:
    """Return width and height in inches; the default depends on the grid."""
    rows, columns = grid
    if figsize is None:
        return style.WIDTH if columns == 1 else 4.2 * columns, 0.5 + 2.05 * rows
    try:
        width, height = figsize
    except (TypeError, ValueError):
        raise InvalidArgument(f"figsize must be a width and a height in inches, not {figsize!r}") from None
    size = _checks.real("figsize's width", width, above=0), _checks.real("figsize's height", height, above=0)
    across, down = _margins(grid)
    if size[0] <= across or size[1] <= down:
        raise InvalidArgument(
            f"figsize must be more than {across:.2f} by {down:.2f} inches for {rows} by {columns} panels, "
            f"not {size[0]:g} by {size[1]:g}"
        )
    return size


def _checked_colors(names: tuple[str, ...], metrics: Any) -> dict[str, dict[str, Any]]:
    """Return the colours of the lines by metric and split: the given ones, or the defaults."""
    colors = {name: dict(COLORS) for name in names}
    if not isinstance(metrics, Mapping):
        return colors
    from matplotlib.colors import is_color_like  # imported late: Matplotlib takes most of our start-up time

    for name, value in metrics.items():
        for split, color in (value if isinstance(value, Mapping) else {"train": value}).items():
            _checks.one_of(f"the split of {name!r}'s colour", split, tuple(COLORS))
            if color is None:
                continue
            if not is_color_like(color):
                raise InvalidArgument(f"the colour of {name!r} must be one of matplotlib's, not {color!r}")
            colors[name][split] = color
    return colors


def _lay_out(
    figure: Figure, colors: Mapping[str, Mapping[str, Any]], grid: tuple[int, int]
) -> tuple[Any, list[_Panel]]:
    """Add a panel for each metric to the figure; return the axes as ``pyplot.subplots`` does, and the panels."""
    (rows, columns), (width, height) = grid, figure.get_size_inches()
    across, down = _margins(grid)
    spacing = {
        "left": _LEFT / width,
        "right": 1 - _RIGHT / width,
        "bottom": _BOTTOM / height,
        "top": 1 - _TOP / height,
        "hspace": _BETWEEN_ROWS * rows / (height - down),
        "wspace": _BETWEEN_COLUMNS * columns / (width - across),
    }
    axes = figure.subplots(rows, columns, sharex=True, squeeze=False, gridspec_kw=spacing)
    panels = [_Panel(ax, name, colors[name]) for ax, name in zip(axes.flat, colors, strict=False)]
    for ax in axes.flat[len(panels) :]:
        ax.remove()
    for panel in panels[-columns:]:  # those with no panel below
        panel.ax.tick_params(labelbottom=True)
        style.count_iterations(panel.ax)
    flat = np.squeeze(axes)
    return flat.item() if flat.size == 1 else flat, panels


def _margins(grid: tuple[int, int]) -> tuple[float, float]:
    """Return the width and height outside the axes, in inches."""
    rows, columns = grid
    return _LEFT + _RIGHT + _BETWEEN_COLUMNS * (columns - 1), _TOP + _BOTTOM + _BETWEEN_ROWS * (rows - 1)

"""The live plot: the record of a training, redrawn while it grows below a notebook's cell or in a window."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.learning_curve import ACCURACY
from myrnn.output import in_kernel
from myrnn.plots import style
from myrnn.plots.logger import LiveLogger, MetricRecord, metric_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLORS = {"train": style.BLUE, "test": style.VERMILLION}
_LEGEND: dict[str, Any] = {
    **{"loc": "lower right", "bbox_to_anchor": (1.0, 1.0), "borderaxespad": 0.2, "ncols": 3, "frameon": False},
    **{"fontsize": 9, "handlelength": 1.4, "handletextpad": 0.5, "columnspacing": 1.0},
}
_DIGIT_SPACE = "\u2007"  # as wide as a digit, so that the legend does not move


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

    Attributes
    ----------
    plot_objects : tuple
        The figure, and its axes: one Axes for one panel, else an array of them, as ``pyplot.subplots`` gives.

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
        self.metrics = metric_names(metrics)
        super().__init__(self.metrics)
        fraction = _checks.real("max_fraction_spent_plotting", max_fraction_spent_plotting, minimum=0.0)
        if fraction > 1.0:
            raise InvalidArgument(f"max_fraction_spent_plotting must be at most 1, not {fraction:g}")
        if last_n_batches is not None:
            _checks.integer("last_n_batches", last_n_batches, minimum=1)
        self.max_fraction_spent_plotting, self.last_n_batches = fraction, last_n_batches
        colors = _checked_colors(metrics)
        columns = _checks.integer("ncols", ncols, minimum=1)
        rows = 1 if nrows is None else _checks.integer("nrows", nrows, minimum=1)
        rows = max(rows, -(-len(self.metrics) // columns))
        self.screen = find_screen()
        figure = self.screen.new_figure(_checked_size(figsize, rows, columns))
        axes = _new_axes(figure, rows, columns)
        self._panels = {
            name: _Panel(ax, name, {**COLORS, **colors.get(name, {})})
            for name, ax in zip(self.metrics, axes.flat, strict=False)
        }
        for ax in axes.flat[len(self.metrics) :]:
            ax.remove()
        for ax in axes.flat[: len(self.metrics)][-columns:]:  # those with no panel below
            ax.tick_params(labelbottom=True)
            style.count_iterations(ax)
        self.plot_objects = figure, axes.item() if axes.size == 1 else np.squeeze(axes)
        self._with_batches = True
        self._reported = 0  # iterations of the current training
        self._end = 0.0  # the last iteration of the current training, if known
        self._drawn_at, self._cost = -np.inf, 0.0  # the end of the last drawing, and its duration

    def set_train_batch(
        self, metrics: Mapping[str, Any], batch_size: int, plot: bool = True, *, iterations: int = 1
    ) -> None:
        """Record metrics of a training batch as `LiveLogger` does, and draw if the time allows.

        With ``plot=False`` it only records, and omits single batches from the figure.
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
        """Draw the whole record now; single batches if `plot_batches`, by default as in the last `set_train_batch`."""
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
        """Continue after the recorded iterations, and draw axes up to the last iteration to come."""
        # The iterations of each training count from 0.
        self._reported = 0
        self._with_batches = False
        self._end = self._position + getattr(start, "iterations", 0)
        if self.screen.live and self.max_fraction_spent_plotting > 0:
            self.screen.update(self._updated(self._end))

    def on_report(self, record: Any) -> None:
        """Record the means of a report as an epoch; raise InvalidArgument if a metric of the plot is not in it."""
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
        return max((record.position for record in (*self.train.values(), *self.test.values())), default=0.0)

    def _draw_when_due(self) -> None:
        """Draw, unless that would exceed its share of the time since the last drawing."""
        begin, fraction = perf_counter(), self.max_fraction_spent_plotting
        if self.screen.live and fraction > 0 and begin - self._drawn_at >= self._cost * (1 / fraction - 1):
            self.screen.update(self._updated(self._end))
            self._drawn_at = perf_counter()
            self._cost = self._drawn_at - begin

    def _updated(self, end: float = 0.0) -> Figure:
        """Update the figure; the axes extend to iteration `end` if the record does not."""
        now, last = self._position, self.last_n_batches
        span = (0.0, max(now, end)) if last is None else (max(0.0, now - last), now)
        for name, panel in self._panels.items():
            panel.update(self.train.get(name), self.test.get(name), span, self._with_batches)
        return self.plot_objects[0]


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
    plotter.screen.update(plotter.plot_objects[0])
    return plotter, *plotter.plot_objects


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
    """The output of a cell, replaced in place: a PNG, which needs no ``%matplotlib`` line and works everywhere."""

    live = True
    _handle: Any = None

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
    _was_opened = False

    def new_figure(self, size: tuple[float, float]) -> Figure:
        """Return an empty figure that has a window."""
        from matplotlib import pyplot

        return pyplot.figure(figsize=size, dpi=style.DPI)

    def update(self, figure: Figure) -> None:
        """Draw into the window and process its events."""
        if not _is_open(figure):
            return
        if not self._was_opened:
            figure.show()
            self._was_opened = True
        figure.canvas.draw_idle()
        figure.canvas.flush_events()

    def show(self, figure: Figure) -> None:
        """Keep the window open until the user closes it."""
        from matplotlib import pyplot

        if _is_open(figure):
            pyplot.show()


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
    from IPython.display import Image

    file = io.BytesIO()
    figure.savefig(file, format="png")
    return Image(data=file.getvalue(), format="png")


class _Panel:
    """The lines of one metric on one Axes: batches light, training epochs and test epochs strong."""

    def __init__(self, ax: Axes, name: str, colors: Mapping[str, Any]) -> None:
        style.style_axes(ax)
        ax.set_title(name, loc="left", fontsize=11)
        self._ax = ax
        self._legend: Any = None
        self._batches = ax.plot([], [], color=colors["train"], alpha=0.35, linewidth=0.8)[0]
        # Dashes and squares distinguish the test from the training without colours.
        strong: dict[str, Any] = {"linewidth": 1.8, "markersize": 4}
        self._train = ax.plot([], [], "-", color=colors["train"], **strong)[0]
        self._test = ax.plot([], [], "--", color=colors["test"], **strong)[0]
        ax.set_ylim(0.0, 1.0, auto=None)  # the limits still follow new data
        self._set_span(0.0, 0.0)

    def update(
        self, train: MetricRecord | None, test: MetricRecord | None, span: tuple[float, float], with_batches: bool
    ) -> None:
        """Draw the records after the first iteration of `span`, with tight axes."""
        shown = []
        self._batches.set_data([], [])
        if train is not None and with_batches:
            shown = [(self._batches, train.batch_domain, train.batch_data, "", "each batch")]
        for line, record, marker, name in ((self._train, train, "o", "train"), (self._test, test, "s", "test")):
            if record is not None and record.epoch_data:
                label = f"{name} {record.epoch_data[-1]:{_DIGIT_SPACE}<6.4g}"
                shown.append((line, record.epoch_domain, record.epoch_data, marker, label))
        for line, positions, values, marker, _ in shown:
            x, y = np.array(positions), np.array(values)
            first = np.searchsorted(x, span[0], side="right")
            line.set_data(x[first:], y[first:])
            line.set_marker(marker if len(x) - first <= style.FEW_POINTS else "")
        # A legend that the user has made stays.
        if shown and self._ax.get_legend() is self._legend:
            lines, *_, labels = zip(*shown, strict=True)
            self._legend = self._ax.legend(lines, labels, **_LEGEND)
        if shown:
            self._ax.relim()
            self._ax.autoscale_view(scalex=False)
        self._set_span(*span)

    def _set_span(self, begin: float, end: float) -> None:
        margin = 0.02 * max(end - begin, 1.0)
        self._ax.set_xlim(begin - margin, max(end, begin + 1.0) + margin)


def _checked_size(figsize: Any, rows: int, columns: int) -> tuple[float, float]:
    """Return width and height in inches; the default depends on the grid."""
    if figsize is None:
        return style.WIDTH if columns == 1 else 5.0 * columns, 0.5 + 2.05 * rows
    try:
        width, height = figsize
    except (TypeError, ValueError):
        raise InvalidArgument(f"figsize must be a width and a height in inches, not {figsize!r}") from None
    # The margins are an inch.
    return _checks.real("figsize's width", width, above=1), _checks.real("figsize's height", height, above=1)


def _checked_colors(metrics: Any) -> dict[str, dict[str, Any]]:
    """Return the colours that are given, by metric and split."""
    from matplotlib.colors import is_color_like  # imported late: Matplotlib takes most of our start-up time

    colors: dict[str, dict[str, Any]] = {}
    for name, given in metrics.items() if isinstance(metrics, Mapping) else ():
        for split, color in (given if isinstance(given, Mapping) else {"train": given}).items():
            _checks.one_of(f"the split of {name!r}'s colour", split, tuple(COLORS))
            if color is not None and not is_color_like(color):
                raise InvalidArgument(f"the colour of {name!r} must be one of matplotlib's, not {color!r}")
            if color is not None:
                colors.setdefault(name, {})[split] = color
    return colors


def _new_axes(figure: Figure, rows: int, columns: int) -> Any:
    """Add a grid of axes with margins of fixed sizes, so that they do not move during a training."""
    width, height = figure.get_size_inches()
    margins = {"left": 0.65 / width, "right": 1 - 0.35 / width, "bottom": 0.55 / height, "top": 1 - 0.4 / height}
    spacing = {**margins, "hspace": 0.28, "wspace": 0.2}
    return figure.subplots(rows, columns, sharex=True, squeeze=False, gridspec_kw=spacing)

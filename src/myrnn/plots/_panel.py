"""One metric of a live plot: its batches and epochs on one pair of axes."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from myrnn.plots import _style
from myrnn.plots._series import MetricSeries

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

MOST_POINTS = 2000  # of a line: more than the pixels across, so that no eye sees what is left out
_FEW_POINTS = 50  # markers on more points than this would run into one thick line
_MARGIN = 0.02  # of the axes, left free at the ends
_HEADROOM = 0.25  # of the lines' height, left free above and below while they grow
_LOOSE = 0.3  # lines that take up less than this share of the height want a closer look
_FIGURE_SPACE = "\u2007"  # as wide as a digit: numbers take the same room, and the legend stays where it is

Room = Literal["enough", "short", "loose"]
Points = tuple[NDArray[np.float64], NDArray[np.float64]]


class MetricPanel:
    """The lines of one metric: training batches light, training epochs and test epochs strong.

    Parameters
    ----------
    ax : matplotlib Axes
    name : str
        Of the metric.
    colors : dict
        ``"train"`` and ``"test"`` to a colour of matplotlib's.
    """

    def __init__(self, ax: Axes, name: str, colors: Mapping[str, Any]) -> None:
        _style.style_axes(ax)
        ax.set_title(name, loc="left", fontsize=11)
        self.ax = ax
        self._batches = ax.plot([], [], color=colors["train"], alpha=0.35, linewidth=0.8)[0]
        # Test differs by dashes and squares too, for whom and where colours do not tell.
        self._epochs = {
            "train": ax.plot([], [], "-", marker="o", color=colors["train"], linewidth=1.8, markersize=4)[0],
            "test": ax.plot([], [], "--", marker="s", color=colors["test"], linewidth=1.8, markersize=4)[0],
        }
        self._legend: Any = None
        self._legend_lines: list[Any] = []
        self._texts: list[Any] = []
        self._span = (0.0, 0.0)
        self._awaited, self._numbers = False, True

    def await_training(self) -> None:
        """Name the training line before it has begun, so that the legend stands when it does."""
        self._awaited = True

    @property
    def moving(self) -> list[Artist]:
        """The parts that a new record changes while the axes stay: the lines, and the numbers in the legend."""
        return [self._batches, *self._epochs.values(), *(self._texts if self._numbers else ())]

    def update(
        self,
        train: MetricSeries | None,
        test: MetricSeries | None,
        span: tuple[float, float],
        with_batches: bool,
        numbers: bool,
    ) -> None:
        """Bring the lines up to the records, within a span of iterations; the axes stay as they are.

        `numbers` says the latest means in the legend, which takes as long as all lines.
        """
        self._span, self._numbers = span, numbers
        series = {"train": train, "test": test}
        shown = _EMPTY if train is None or not with_batches else _since(span[0], train.positions, train.values)
        self._batches.set_data(*thinned(*shown))
        for split, line in self._epochs.items():
            record = series[split]
            points = _EMPTY if record is None else _since(span[0], record.epoch_positions, record.epoch_means)
            line.set_data(*thinned(*points))
            line.set_marker(_marker(split, len(points[0])))
        self._name_lines(series, bool(len(shown[0])))

    def fit(self) -> None:
        """Let the axes reach just around the lines."""
        begin, end = self._span
        if self._values().size:
            self.ax.relim()
            self.ax.autoscale_view(scalex=False)
        else:
            self.ax.set_ylim(0.0, 1.0, auto=None)  # an empty panel; the limits go on following what comes
        set_span(self.ax, begin, end)

    def room(self) -> Room:
        """Tell whether the lines run out of the axes, or take up so little of them that nothing is to be seen."""
        return "short" if self._span[1] > self.ax.get_xlim()[1] else self._height()

    def _height(self) -> Room:
        values = self._values()
        if not values.size or not self.ax.get_autoscaley_on():
            return "enough"
        bottom, top = self._scaled(*self.ax.get_ylim())
        low, high = self._scaled(values.min(), values.max())
        if low < bottom or high > top:
            return "short"
        return "loose" if high - low < _LOOSE * (top - bottom) else "enough"

    def make_room(self, end: float, last_n: int | None) -> None:
        """Let the axes reach to iteration `end` and, up and down, farther than the lines do now.

        While the lines grow, the axes then change seldom. They start from 0 to 1, where losses and accuracies lie.
        """
        height = self._height()
        begin, now = self._span
        ahead = now + _HEADROOM * (now - begin)
        if end <= now:
            end = ahead
        set_span(self.ax, begin, end if last_n is None else min(end, max(ahead, begin + last_n)))
        if not self.ax.get_autoscaley_on():
            return  # the user has chosen the limits
        before = self.ax.get_ylim()
        if not self._values().size:
            self.ax.set_ylim(-_MARGIN, 1.0 + _MARGIN, auto=None)
        elif height != "enough":
            self.ax.relim()
            self.ax.autoscale_view(scalex=False)
            bottom, top = self._widened(*self.ax.get_ylim())
            if height == "short":
                bottom, top = min(bottom, before[0]), max(top, before[1])
            self.ax.set_ylim(bottom, top, auto=None)

    def _values(self) -> NDArray[np.float64]:
        """Return all finite values that are drawn."""
        values = np.concatenate([np.asarray(line.get_ydata()) for line in self.ax.get_lines()])
        return values[np.isfinite(values)]

    def _scaled(self, low: float, high: float) -> tuple[float, float]:
        """Return values as heights, up to a factor: the user may have made the axis logarithmic."""
        heights = self.ax.yaxis.get_transform().transform(np.array([low, high], dtype=np.float64))
        return float(heights[0]), float(heights[1])

    def _widened(self, low: float, high: float) -> tuple[float, float]:
        bottom, top = self._scaled(low, high)
        more = _HEADROOM * (top - bottom)
        ends = self.ax.yaxis.get_transform().inverted().transform(np.array([bottom - more, top + more]))
        # What is never negative, such as a loss, needs no room below 0.
        return max(float(ends[0]), min(low, 0.0)) if low >= 0.0 else float(ends[0]), float(ends[1])

    def _name_lines(self, series: Mapping[str, MetricSeries | None], batches: bool) -> None:
        """Write the legend above the axes, where no line runs under it, with the latest means."""
        handles, texts = [], []
        if batches:
            handles, texts = [self._batches], ["each batch"]
        for split, line in self._epochs.items():
            record = series[split]
            means = () if record is None else record.epoch_means
            if means or (split == "train" and self._awaited):
                handles.append(line)
                number = f"{means[-1]:.4g}" if means and self._numbers else ""
                texts.append(f"{split} {number.ljust(6, _FIGURE_SPACE)}")
        if self.ax.get_legend() is not self._legend:
            self._texts = []  # the user has made another one
            return
        if handles == self._legend_lines:
            for drawn, text in zip(self._texts, texts, strict=True):
                drawn.set_text(text)
            return
        self._legend_lines = handles
        self._legend = self.ax.legend(
            handles,
            texts,
            loc="lower right",
            bbox_to_anchor=(1.0, 1.0),
            borderaxespad=0.2,
            ncols=3,
            fontsize=9,
            frameon=False,
        )
        for line in self._legend.legend_handles:
            line.set_marker("")  # the lines lose theirs when they get long
        self._texts = self._legend.get_texts()


def set_span(ax: Axes, begin: float, end: float) -> None:
    """Let the horizontal axis reach a little farther than the iterations from `begin` to `end`."""
    margin = _MARGIN * max(end - begin, 1.0)
    ax.set_xlim(begin - margin, max(end, begin + 1.0) + margin)


_EMPTY: Points = (np.empty(0), np.empty(0))


def _marker(split: str, points: int) -> str:
    """Return the marker of an epoch line, none where the points stand too close."""
    if points > _FEW_POINTS:
        return ""
    return {"train": "o", "test": "s"}[split]


def _since(begin: float, positions: array[float], values: array[float]) -> Points:
    """Return the points after `begin`; positions never fall."""
    # Copies: a buffer cannot grow while an array looks into it.
    start = int(np.searchsorted(np.frombuffer(positions), begin, side="right")) if begin and positions else 0
    return np.array(positions[start:]), np.array(values[start:])


def thinned(x: NDArray[np.float64], y: NDArray[np.float64]) -> Points:
    """Return at most `MOST_POINTS` points that look like all of them.

    Of each run of neighbours the lowest and the highest stay, so that no spike is lost; a run with a NaN leaves a gap.
    """
    if len(x) <= MOST_POINTS:
        return x, y
    runs = MOST_POINTS // 2
    edges = np.linspace(0, len(x), runs + 1).astype(np.intp)
    starts = edges[:-1]
    middles = (edges[:-1] + edges[1:]) // 2
    both = np.stack([np.minimum.reduceat(y, starts), np.maximum.reduceat(y, starts)], axis=1)
    return np.stack([x[starts], x[middles]], axis=1).ravel(), both.ravel()

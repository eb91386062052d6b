"""One metric of a live plot: its batches and epochs on one pair of axes."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from myrnn.plots import _style
from myrnn.plots._series import MetricSeries

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_POINTS = 2000  # of a line: more than the pixels across, so that no eye sees what is left out
_FEW_POINTS = 50  # markers on more points than this would run into one thick line

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
        self._legend_text: tuple[str, ...] = ()

    def update(
        self, train: MetricSeries | None, test: MetricSeries | None, last_n: int | None, with_batches: bool
    ) -> None:
        """Bring the lines up to the records, from `last_n` iterations ago on."""
        series = {"train": train, "test": test}
        end = max([record.position for record in (train, test) if record is not None], default=0.0)
        begin = 0.0 if last_n is None else max(0.0, end - last_n)
        shown = _EMPTY if train is None or not with_batches else _since(begin, train.positions, train.values)
        self._batches.set_data(*thinned(*shown))
        for split, line in self._epochs.items():
            record = series[split]
            points = _EMPTY if record is None else _since(begin, record.epoch_positions, record.epoch_means)
            line.set_data(*thinned(*points))
            line.set_marker(_marker(split, len(points[0])))
        self._fit(begin, end)
        self._name_lines(series, bool(len(shown[0])))

    def _fit(self, begin: float, end: float) -> None:
        if any(len(np.asarray(line.get_xdata())) for line in self.ax.get_lines()):
            self.ax.relim()
            self.ax.autoscale_view(scalex=False)
        else:
            self.ax.set_ylim(0.0, 1.0, auto=None)  # an empty panel; the limits go on following what comes
        margin = 0.02 * max(end - begin, 1.0)
        self.ax.set_xlim(begin - margin, max(end, begin + 1.0) + margin)

    def _name_lines(self, series: Mapping[str, MetricSeries | None], batches: bool) -> None:
        """Write the legend above the axes, where no line runs under it, with the latest means."""
        handles, texts = [], []
        if batches:
            handles, texts = [self._batches], ["each batch"]
        for split, line in self._epochs.items():
            record = series[split]
            if record is not None and record.epoch_means:
                handles.append(line)
                texts.append(f"{split} {record.epoch_means[-1]:.4g}")
        if tuple(texts) == self._legend_text:
            return
        self._legend_text = tuple(texts)
        self.ax.legend(
            handles,
            texts,
            loc="lower right",
            bbox_to_anchor=(1.0, 1.0),
            borderaxespad=0.2,
            ncols=3,
            fontsize=9,
            frameon=False,
        )


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

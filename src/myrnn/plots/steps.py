"""Figures of models with outputs at every step: measures by position, and forecasts with the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.evaluation import Buckets, Report
from myrnn.plots import style
from myrnn.results import draws

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_NAMES = {"mae": "mean absolute error", "rmse": "root mean squared error", "bits_per_symbol": "bits per symbol"}
_KINDS = {"position": "position of the step in its sequence", "length": "length of the sequence"}
# Markers on more forecasts would merge into one thick line.
_FEW_FORECASTS = 12
# The room for the dashes of base rates side by side, in points.
_DASH_ROOM = 160.0
# More levels than dash patterns would look alike.
_DASHES = ((4, 2), (1, 1.5), (6, 2, 1, 2), (2, 1))


@draws(Buckets)
def plot_by_position(
    buckets: Buckets,
    *,
    measure: str | None = None,
    levels: Mapping[str, float] | None = None,
    label: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a measure by the position of the step, or by the length of the sequence, with an interval at each.

    Dashed lines show scores of others over all buckets, and for labels the base rate of each. Call it again with the
    same `ax` and another `label` to compare models that were tested on the same sequences.

    Parameters
    ----------
    buckets : Buckets
    measure : str, optional
        The name of the measure, such as ``"accuracy"``; by default the first.
    levels : mapping of str to float, optional
        Scores of others over all buckets, by name; by default those of the buckets, for their first measure.
    label : str, optional
        The name of the model in the legend.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InvalidArgument
        When there is no such measure.

    Examples
    --------
    >>> from myrnn.evaluation import tag_report
    >>> chances = [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.7, 0.3]]
    >>> report = tag_report([0, 1, 1, 0], chances, [0, 2, 4])
    >>> ax = plot_by_position(report.positions, label="GRU")
    >>> ax.get_xlabel(), [text.get_text() for text in ax.get_legend().get_texts()]
    ('position of the step in its sequence (number of steps)', ['GRU', 'the most frequent class'])
    """
    from matplotlib.lines import Line2D

    name, values = buckets.values_of(measure)
    if levels is None:
        levels = buckets.levels if name == next(iter(buckets.measures)) else {}
    is_new = ax is None
    ax = style.axes_for(ax, height=3.6)
    look = style.series(len(ax.containers), markers=len(values) <= style.FEW_POINTS)
    has_others = bool(levels) or buckets.base_rate is not None
    named = "the model" if label is None and has_others else label
    style.draw_intervals(ax, np.arange(len(values)), values[:, 0], values[:, 1:], named, **look)
    for dashes, (level_name, level) in zip(_DASHES * len(levels), levels.items(), strict=False):
        ax.axhline(level, color=style.GREY, dashes=dashes, linewidth=1.3, zorder=1, label=style.word_of(level_name))
    base_rate = buckets.base_rate if name == "accuracy" else None
    if base_rate is not None:
        # Seen also behind a perfect model.
        look = {"markersize": _DASH_ROOM / len(values), "markeredgewidth": 4.0, "alpha": 0.6}
        style.draw_base_rate(ax, np.arange(len(values)), base_rate, **look)
    counts = _name_buckets(ax, buckets.names, buckets.total)
    if name == "accuracy":
        lowest = np.fmin(values[:, 0], values[:, 1])
        style.fit_accuracy(ax, lowest, [*levels.values(), *(() if base_rate is None else base_rate)])
    else:
        # Later curves may be higher.
        ax.set_ylim(bottom=0.0, auto=True)
    ax.set_xlabel(_KINDS[buckets.by] + (f" (number of {buckets.each}s)" if counts else ""))
    ax.set_ylabel(_NAMES.get(name, name.replace("_", " ")))
    if entries := sorted(style.labelled(ax), key=lambda entry: isinstance(entry[0], Line2D)):
        style.put_legend_above(ax, entries, resize=is_new)
    return ax


def _name_buckets(ax: Axes, names: Sequence[str], total: NDArray[np.int64]) -> bool:
    """Write the name of each bucket at its position, and its size if there is space; return whether there is."""
    short = [name.replace(" to ", "-") for name in names]
    has_room = style.fit_beside(short)
    if has_room:
        short = [f"{name}\n({_short_count(count)})" for name, count in zip(short, total.tolist(), strict=True)]
    style.name_places(ax, range(len(short)), short, turned=not has_room)
    ax.set_xlim(-0.5, len(short) - 0.5)
    return has_room


def _short_count(count: int) -> str:
    """Return a number in few characters: ``9,999``, ``238k``, ``1.2M``."""
    if count < 10_000:
        return f"{count:,}"
    return f"{count / 1000:.0f}k" if count < 999_500 else f"{count / 1e6:.1f}M"


@draws(Report)
def plot_report(report: Report, *, ax: Axes | None = None) -> Axes:
    """Draw the confusion of labels; of others the main measure by position, with the best of the simple rules."""
    part = report.confusion if report.positions is None else report.positions
    if part is None:
        raise InvalidArgument("there are no positions to draw: number_report was called without offsets")
    drawn: Axes = part.plot(ax=ax)
    return drawn


def plot_forecast(
    truth: ArrayLike,
    forecast: ArrayLike,
    *,
    begin: int | None = None,
    low: ArrayLike | None = None,
    high: ArrayLike | None = None,
    label: str = "forecast",
    ax: Axes | None = None,
) -> Axes:
    """Draw a series and its forecast, with a band for the interval of the forecast.

    Call it again with the same `ax` and another `label` to compare forecasts of one series.

    Parameters
    ----------
    truth : array_like of float (T,)
        The series; NaN leaves a gap.
    forecast : array_like of float (H,)
        The forecast; NaN leaves a gap.
    begin : int, optional
        The index of the first forecast in the series. By default the forecast is for the last H values.
    low, high : array_like of float (H,), optional
        The ends of the interval of every forecast: both or none.
    label : str
        The name of the forecast in the legend.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InvalidArgument
        When the arrays do not have these shapes, only one end of the interval is given, or `begin` is below 0.

    Examples
    --------
    >>> series = [1.0, 2.0, 3.0, 2.0, 1.0, 2.0]
    >>> ax = plot_forecast(series, [3.0, 2.1, 1.2], begin=6, low=[2.5, 1.5, 0.5], high=[3.5, 2.7, 1.9])
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['truth', 'forecast']
    """
    (series,) = style.columns(truth=truth)
    if (low is None) != (high is None):
        raise InvalidArgument("an interval has two ends: give both low and high, or none")
    ends = {} if low is None or high is None else {"low": low, "high": high}
    centers, *band = style.columns(forecast=forecast, **ends)
    if begin is None and len(centers) > len(series):
        raise InvalidArgument(
            f"forecast must have at most as many values as the truth, {len(series)}, unless begin says where it "
            f"begins, not {len(centers)}"
        )
    first = len(series) - len(centers) if begin is None else _checks.integer("begin", begin, minimum=0)
    ax = style.axes_for(ax, height=3.2)
    drawn = style.drawn_before(ax, "forecast")
    if not drawn:
        ax.plot(np.arange(1, len(series) + 1), series, color="black", linewidth=1.3, label="truth", zorder=2)
    color, line = (kinds[drawn % len(kinds)] for kinds in (style.PALETTE, style.LINES))
    look: dict[str, Any] = {"color": color, "linestyle": line, "marker": "o" if len(centers) <= _FEW_FORECASTS else ""}
    steps = np.arange(first + 1, first + len(centers) + 1)
    if band:
        ax.fill_between(steps, band[0], band[1], color=look["color"], alpha=0.2, linewidth=0, zorder=1)
    ax.plot(steps, centers, markersize=3.5, linewidth=1.5, label=style.word_of(label), gid="forecast", zorder=3, **look)
    style.count_iterations(ax, "step")
    ax.set_ylabel("value")
    style.put_legend_above(ax)
    return ax

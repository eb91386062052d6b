"""The figures of a test of a classifier: confusion, accuracy by length bucket, calibration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.plots import _style
from myrnn.plots._accuracy import draw_chance, fit_accuracy
from myrnn.plots._arrays import check_intervals, columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# matplotlib is loaded only when something is drawn: importing it is most of our start-up time.

# Cells of more classes are too small for numbers, names of more too small to read.
_MOST_NUMBERED, _MOST_NAMED = 14, 40
_LONGEST_NAME = 18
# Shares above which text must be light.
_DARK = 0.6


def plot_confusion(classes: Sequence[str], counts: ArrayLike, *, ax: Axes | None = None) -> Axes:
    """Draw how often sequences of each class are seen as of which, as a heat map.

    Parameters
    ----------
    classes : sequence of K str
    counts : array_like of int (K, K)
        Rows are the true classes, columns what was predicted. Colours show shares of the row.
    ax : matplotlib Axes, optional
        Where to draw; without it, in a new figure.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InvalidArgument
        When the counts are not of that shape, or below 0.
    """
    size = len(classes)
    numbers = _checks.array("counts", counts)
    if not size or numbers.shape != (size, size) or numbers.dtype.kind not in "iu" or numbers.min() < 0:
        raise InvalidArgument(
            f"counts must be whole numbers of shape {(size, size)}, 0 or more, a row and a column for each class, "
            f"not {numbers.dtype} of shape {numbers.shape}"
        )
    ax = _style.axes_for(ax, height=5.2 if size > 4 else 4.2)
    totals = numbers.sum(axis=1, keepdims=True)
    of_row = numbers / np.maximum(totals, 1)
    image = ax.imshow(of_row, cmap="Blues", vmin=0.0, vmax=1.0, interpolation="nearest")
    ax.grid(False)
    ax.spines[:].set_visible(False)
    if size <= _MOST_NUMBERED:
        _write_counts(ax, numbers, of_row)
    _name_classes(ax, classes)
    bar = ax.figure.colorbar(image, ax=ax, pad=0.02, fraction=0.05, format=lambda share, _: f"{100 * share:.0f}")
    bar.set_label("share of the class, %", fontsize=10)
    bar.ax.tick_params(labelsize=9, length=0)
    bar.outline.set_visible(False)
    return ax


def plot_accuracy_by_bucket(
    names: Sequence[str],
    accuracy: ArrayLike,
    low: ArrayLike,
    high: ArrayLike,
    *,
    total: ArrayLike,
    chance: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw accuracy for buckets of lengths, with an interval at each.

    Parameters
    ----------
    names : sequence of N str
        The lengths in each bucket.
    accuracy, low, high : array_like of floats (N,)
        The share of right answers in each, and the ends of its interval.
    total : array_like of int (N,)
        How many sequences are in each.
    chance : float, optional
        The accuracy of saying the most frequent class, drawn as a line.
    ax : matplotlib Axes, optional
        Where to draw; without it, in a new figure.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InvalidArgument
        When the arrays are not equally long, or an accuracy lies outside its interval.
    """
    place = np.arange(len(names))
    x, y, bottom, top, counts = columns(names=place, accuracy=accuracy, low=low, high=high, total=total)
    check_intervals(x, y, bottom, top)
    ax = _style.axes_for(ax, height=3.6)
    bars = np.maximum([y - bottom, top - y], 0.0)
    ax.errorbar(x, y, bars, marker=_style.MARKERS[0], markersize=5, linewidth=1.6, elinewidth=1, capsize=2.5)
    if chance is not None:
        draw_chance(ax, chance)
        ax.get_lines()[-1].set_label("the most frequent class")
        ax.legend(loc="best", fontsize=9, framealpha=0.9, edgecolor="none")
    told = [f"{name.replace(' to ', '-')}\n({count:,.0f})" for name, count in zip(names, counts, strict=True)]
    ax.set_xticks(x, labels=told)
    ax.set_xlim(-0.5, len(names) - 0.5)
    fit_accuracy(ax, bottom, chance)
    ax.set_xlabel("length of the sequence (number of sequences)")
    ax.set_ylabel("accuracy")
    return ax


def plot_calibration(
    edges: ArrayLike,
    total: ArrayLike,
    mean_probability: ArrayLike,
    accuracy: ArrayLike,
    interval: ArrayLike,
    *,
    ax: Axes | None = None,
) -> Axes:
    """Draw how often predictions are right against the probability that the classifier gives them.

    Parameters
    ----------
    edges : array_like of floats (M + 1,)
        The ends of the bins of probabilities.
    total : array_like of int (M,)
        How many predictions are in each bin.
    mean_probability, accuracy : array_like of floats (M,)
        Of the predictions of each bin; NaN where there is none.
    interval : array_like (M, 2)
        The ends of each accuracy's interval.
    ax : matplotlib Axes, optional
        Where to draw; without it, in a new figure.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InvalidArgument
        When the arrays are not of these shapes.
    """
    counts, means, shares = columns(total=total, mean_probability=mean_probability, accuracy=accuracy)
    ends = _checked_shape("interval", interval, (len(counts), 2))
    bounds = _checked_shape("edges", edges, (len(counts) + 1,))
    ax = _style.axes_for(ax, height=4.2)
    filled = counts > 0
    share_of_all = counts / max(counts.sum(), 1)
    look: dict[str, Any] = {"color": _style.LIGHT_GREY, "edgecolor": "white", "linewidth": 1, "zorder": 1}
    ax.bar(bounds[:-1], share_of_all, np.diff(bounds), align="edge", label="share of the predictions", **look)
    ax.plot([0, 1], [0, 1], color=_style.GREY, linestyle="--", linewidth=1.2, label="right as often as said", zorder=2)
    bars = np.maximum([shares - ends[:, 0], ends[:, 1] - shares], 0.0)[:, filled]
    marks: dict[str, Any] = {"marker": _style.MARKERS[0], "markersize": 5, "linewidth": 1.6, "elinewidth": 1}
    ax.errorbar(means[filled], shares[filled], bars, capsize=2.5, label="the classifier", zorder=3, **marks)
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1.03)
    ax.set_xlabel("probability of the predicted class")
    ax.set_ylabel("accuracy")
    ax.legend(loc="upper left", fontsize=9, framealpha=0.9, edgecolor="none")
    return ax


def _write_counts(ax: Axes, counts: NDArray[Any], of_row: NDArray[np.float64]) -> None:
    size = 10 if len(counts) <= 8 else 8
    for row, column in zip(*np.nonzero(counts), strict=True):
        color = "white" if of_row[row, column] > _DARK else "black"
        ax.text(column, row, f"{counts[row, column]:,}", ha="center", va="center", fontsize=size, color=color)


def _name_classes(ax: Axes, classes: Sequence[str]) -> None:
    step = -(-len(classes) // _MOST_NAMED)
    places = range(0, len(classes), step)
    names = [_style.word_of(classes[place], _LONGEST_NAME) for place in places]
    across = max(map(len, names)) * len(names) <= 60
    turned: dict[str, Any] = {} if across else {"rotation": 40, "ha": "right", "rotation_mode": "anchor"}
    size = 9 if len(names) <= 20 else 6
    ax.set_xticks(places, labels=names, fontsize=size, **turned)
    ax.set_yticks(places, labels=names, fontsize=size)
    ax.tick_params(length=0)
    ax.set_xlabel("predicted")
    ax.set_ylabel("true class")


def _checked_shape(name: str, given: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.float64]:
    values = _checks.array(name, given)
    if values.shape != shape or values.dtype.kind not in "fiu":
        raise InvalidArgument(f"{name} must be numbers of shape {shape}, not {values.dtype} of shape {values.shape}")
    return values.astype(np.float64)

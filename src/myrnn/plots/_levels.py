"""Curves beside a model's own: what shortcuts reach, and what each class does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.plots import _style
from myrnn.plots._accuracy import fit_accuracy, legend_entries, put_legend_above, tick_lengths
from myrnn.plots._arrays import columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Curves that lie nearer to each other than this at every length could not be told apart: they become one.
_SAME = 0.012
# Colours that the model and its two classes do not have come first.
_LEVEL_COLORS = (_style.ORANGE, _style.PURPLE, _style.SKY, _style.GREY, _style.GREEN, _style.VERMILLION)
_DASHES = ((4, 2), (1, 1.5), (6, 2, 1, 2), (2, 1), (8, 2), (3, 3))


def plot_level_curves(
    lengths: ArrayLike, curves: Mapping[str, ArrayLike], *, intervals: ArrayLike | None = None, ax: Axes | None = None
) -> Axes:
    """Draw accuracy against length for each of S shortcuts, as dashed lines, and return the axes.

    Parameters
    ----------
    lengths : array_like of integers (N,)
        T of the sequences.
    curves : mapping of str to array_like of floats (N,)
        Shares by name; NaN leaves a gap.
    intervals : array_like (S, N, 2), optional
        The ends of each share's interval. Curves whose intervals overlap at every length are not told apart: their
        mean is drawn as one line of all their names. Without intervals, those that would cover each other are.
    ax : matplotlib Axes, optional
        Where to draw; without it, in a new figure.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InvalidArgument
        When there is no curve, or the arrays are not of these shapes.
    """
    x, _ = _checked(lengths, curves)
    ax = _style.axes_for(ax, height=3.6)
    if not ax.has_data():
        ax.set_xlabel("length of the sequence")
        ax.set_ylabel("accuracy")
        tick_lengths(ax, x)
    return add_level_curves(ax, lengths, curves, intervals=intervals)


def add_level_curves(
    ax: Axes, lengths: ArrayLike, curves: Mapping[str, ArrayLike], *, intervals: ArrayLike | None = None
) -> Axes:
    """Draw the same into axes that show a model's accuracy by length; see `plot_level_curves`."""
    x, values = _checked(lengths, curves)
    ends = _checked_intervals(intervals, values)
    for place, (name, level) in enumerate(_told_apart(values, ends).items()):
        color, dashes = _LEVEL_COLORS[place % len(_LEVEL_COLORS)], _DASHES[place % len(_DASHES)]
        marker = "." if len(x) == 1 else ""
        ax.plot(x, level, color=color, dashes=dashes, marker=marker, linewidth=1.5, label=name, zorder=1.5)
    return _finished(ax, values)


def add_class_curves(ax: Axes, lengths: ArrayLike, curves: Mapping[str, ArrayLike]) -> Axes:
    """Draw how often each class is seen as what it is into axes that show a model's accuracy by length.

    Parameters
    ----------
    ax : matplotlib Axes
    lengths : array_like of integers (N,)
    curves : mapping of str to array_like of floats (N,)
        Shares by the class's name; NaN leaves a gap.

    Returns
    -------
    matplotlib Axes
    """
    x, values = _checked(lengths, curves)
    for place, (name, level) in enumerate(values.items()):
        color = _style.PALETTE[(1 + place) % len(_style.PALETTE)]
        marker = _style.MARKERS[(1 + place) % len(_style.MARKERS)]
        ax.plot(x, level, color=color, marker=marker, markersize=3.5, linewidth=1.0, label=f"{name} only", zorder=1.8)
    return _finished(ax, values)


def _checked(
    lengths: ArrayLike, curves: Mapping[str, ArrayLike]
) -> tuple[NDArray[np.float64], dict[str, NDArray[np.float64]]]:
    if not curves:
        raise InvalidArgument("there is no curve to draw: curves is empty")
    x = columns(lengths=lengths)[0]
    return x, {name: columns(**{"lengths": lengths, f"the curve of {name}": y})[1] for name, y in curves.items()}


def _checked_intervals(given: ArrayLike | None, values: dict[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    shares = np.array(list(values.values()))
    if given is None:
        return np.stack((shares - _SAME / 2, shares + _SAME / 2), axis=-1)
    ends = _checks.array("intervals", given)
    if ends.shape != (*shares.shape, 2):
        raise InvalidArgument(f"intervals must be of shape {(*shares.shape, 2)}, not {ends.shape}")
    return ends.astype(np.float64)


def _told_apart(curves: dict[str, NDArray[np.float64]], ends: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Return the curves; the mean of those that cannot be told apart, under their joint names."""
    names, levels = list(curves), np.array(list(curves.values()))
    groups: list[list[int]] = []
    for i in range(len(names)):
        alike = (group for group in groups if all(_overlap(ends[i], ends[j]) for j in group))
        group = next(alike, None)
        if group is None:
            groups.append([i])
        else:
            group.append(i)
    return {" / ".join(names[i] for i in group): levels[group].mean(axis=0) for group in groups}


def _overlap(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    # Written so that a gap, NaN, excludes nothing.
    return not np.any((one[:, 0] > other[:, 1]) | (other[:, 0] > one[:, 1]))


def _finished(ax: Axes, values: dict[str, NDArray[np.float64]]) -> Axes:
    from matplotlib.container import ErrorbarContainer  # late: importing matplotlib is most of our start-up time

    fit_accuracy(ax, np.concatenate(list(values.values())), None)
    # The model's own stands first.
    entries = sorted(legend_entries(ax), key=lambda entry: not isinstance(entry[0], ErrorbarContainer))
    put_legend_above(ax, entries)
    return ax

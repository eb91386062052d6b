"""The figures of many runs: bands over seeds, and the outcome against one setting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.plots import _style
from myrnn.plots._accuracy import (
    draw_chance,
    fit_accuracy,
    legend_entries,
    put_legend_above,
    shade_beyond,
    stretch_shades,
    tick_lengths,
)
from myrnn.plots._arrays import columns
from myrnn.plots._scales import Scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Of a figure, and what a legend above the axes must leave of it, in inches.
_HEIGHT, _LEFT = 3.8, 2.8
_DASHES = ("-", "--", ":")
# The room of all groups beside each other at a word or a length, of the way to the next.
_BESIDE = 0.6
# More bands than this hide each other: then there is an upright bar at every length.
_MOST_BANDS = 3
# Means are drawn where a setting has so many values at most.
_FEW_VALUES = 12


def plot_length_bands(
    lengths: ArrayLike,
    curves: Mapping[str, ArrayLike],
    *,
    trained_up_to: int | None = None,
    chance: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw accuracy against length for groups of runs: their mean as a line, a band from the lowest to the highest.

    More than three bands would hide each other: then there is an upright bar at every length instead.

    Parameters
    ----------
    lengths : array_like of int (N,)
        T of the sequences.
    curves : mapping of str to array_like (R, N)
        By the group's name, the accuracies of its R runs.
    trained_up_to : int, optional
        The longest length that was trained on; longer ones lie on a shaded ground.
    chance : float, optional
        The accuracy of guessing, drawn as a line.
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
    (x,) = columns(lengths=lengths)
    runs = {name: _runs(name, values, x) for name, values in curves.items()}
    if not runs:
        raise InvalidArgument("there is no curve to draw: curves is empty")
    is_new = ax is None
    ax = _style.axes_for(ax, height=_HEIGHT)
    with_bands = sum(len(accuracy) > 1 for accuracy in runs.values()) <= _MOST_BANDS
    beyond = x > (np.inf if trained_up_to is None else trained_up_to)
    for place, (name, accuracy) in enumerate(runs.items()):
        look = _look(place)
        at = x if with_bands else x + _aside(place, len(runs), x)
        low, high = accuracy.min(axis=0), accuracy.max(axis=0)
        if len(accuracy) > 1 and with_bands:
            ax.fill_between(at, low, high, color=look["color"], alpha=0.16, linewidth=0)
        elif len(accuracy) > 1:
            ax.vlines(at, low, high, color=look["color"], alpha=0.6, linewidth=1.2)
        mean = accuracy.mean(axis=0)
        marks: dict[str, Any] = {"marker": _marker(place), "markersize": 4.5}
        ax.plot(at, mean, linewidth=1.6, label=_style.word_of(name), **marks, **look)
        ax.plot(at[beyond], mean[beyond], markerfacecolor="white", **marks, **{**look, "linestyle": ""})
    outmost = 0.0 if with_bands else abs(_aside(0, len(runs), x))
    margin = max(0.02 * (x[-1] - x[0]), 0.5) + outmost
    ax.set_xlim(x[0] - margin, x[-1] + margin)
    tick_lengths(ax, x)
    shade_beyond(ax, x, trained_up_to)
    stretch_shades(ax, x[-1] + margin)
    if chance is not None:
        draw_chance(ax, chance)
    fit_accuracy(ax, np.concatenate([accuracy.min(axis=0) for accuracy in runs.values()]), chance)
    ax.set_xlabel("length of the sequence")
    ax.set_ylabel("accuracy")
    if any(len(accuracy) > 1 for accuracy in runs.values()):
        _legend(ax, band=with_bands)
    else:
        put_legend_above(ax, legend_entries(ax))
    if is_new:
        _make_room(ax)
    return ax


def plot_setting(
    setting: Sequence[Any],
    outcome: ArrayLike,
    groups: Sequence[str] | None = None,
    *,
    name: str = "setting",
    outcome_name: str = "accuracy",
    ax: Axes | None = None,
) -> Axes:
    """Draw the outcome of runs against one of their settings: every run a dot, and the means of each group a line.

    Parameters
    ----------
    setting : sequence of numbers, strings or None (R,)
        Its value in every run. Words, and None, are places beside each other.
    outcome : array_like (R,)
        Such as accuracies; NaN leaves a run out.
    groups : sequence of str (R,), optional
        The group of every run.
    name, outcome_name : str
        The labels of the axes.
    ax : matplotlib Axes, optional
        Where to draw; without it, in a new figure.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InvalidArgument
        When the lists are not equally long, or no outcome is known.
    """
    y = outcomes(outcome, len(setting))
    named = [""] * len(setting) if groups is None else list(groups)
    if len(named) != len(setting):
        raise InvalidArgument(f"groups must be one for each of the {len(setting)} runs, not {len(named)}")
    is_new = ax is None
    ax = _style.axes_for(ax, height=_HEIGHT)
    scale = Scale(setting)
    x = scale.places(setting)
    names = list(dict.fromkeys(named))
    for place, group in enumerate(names):
        mine = np.array([other == group for other in named]) & np.isfinite(y)
        # Words have room beside each other; numbers stand where they are.
        aside = 0.0 if scale.is_number else _BESIDE * ((place + 0.5) / len(names) - 0.5)
        _draw_group(ax, x[mine] + aside, y[mine], scale, place, _style.word_of(group))
    scale.label(ax.xaxis)
    ax.set_xlabel(name)
    ax.set_ylabel(outcome_name)
    if outcome_name != "loss":
        fit_accuracy(ax, y, None)
    if any(named):
        put_legend_above(ax, legend_entries(ax))
    if is_new:
        _make_room(ax)
    return ax


def _draw_group(ax: Axes, x: NDArray[np.float64], y: NDArray[np.float64], scale: Scale, place: int, group: str) -> None:
    """Draw every run as a dot; the means of runs at the same place too, where there are few such places."""
    look, marker = _look(place), _marker(place)
    means = [(at, y[x == at].mean()) for at in np.unique(x)]
    has_means = len(means) < len(y) and len(scale.values) <= _FEW_VALUES
    faint = {"alpha": 0.45 if has_means else 0.7, "linewidths": 0, "color": look["color"], "marker": marker}
    ax.scatter(x, y, 14 if len(y) < 300 else 7, label=None if has_means else group or None, **faint)
    if has_means:
        line = look["linestyle"] if scale.is_number else ""
        ax.plot(
            *zip(*means, strict=True), marker=marker, markersize=6, label=group or None, **{**look, "linestyle": line}
        )


def _runs(name: str, values: ArrayLike, x: NDArray[np.float64]) -> NDArray[np.float64]:
    runs = _checks.array(f"the curves of {name}", values)
    if runs.ndim != 2 or runs.shape[1] != len(x) or not len(runs):
        raise InvalidArgument(f"the curves of {name} must be of shape (R, {len(x)}), not {runs.shape}")
    return runs.astype(np.float64)


def outcomes(outcome: ArrayLike, count: int) -> NDArray[np.float64]:
    """Return the outcomes of so many runs, float64, NaN where there is none; or say what is wrong with them."""
    (values,) = columns(outcome=outcome)
    if len(values) != count:
        raise InvalidArgument(f"outcome must be one number for each of the {count} runs, not {len(values)}")
    if not np.isfinite(values).any():
        raise InvalidArgument("there is nothing to draw: no outcome is known")
    return values


def _look(place: int) -> dict[str, Any]:
    colors = len(_style.PALETTE)
    return {"color": _style.PALETTE[place % colors], "linestyle": _DASHES[place // colors % len(_DASHES)]}


def _marker(place: int) -> str:
    return _style.MARKERS[place % len(_style.MARKERS)]


def _aside(place: int, groups: int, x: NDArray[np.float64]) -> float:
    """Return how far a group stands from its length, so that the bars of several stand side by side."""
    room = _BESIDE * float(np.diff(x).min()) if len(x) > 1 else 0.0
    return room * ((place + 0.5) / groups - 0.5)


def _make_room(ax: Axes) -> None:
    """Make the figure higher where a legend of many groups would press the axes flat."""
    legend, figure = ax.get_legend(), ax.figure.figure
    if legend is not None:
        figure.set_figheight(max(_HEIGHT, _LEFT + legend.get_window_extent().height / figure.dpi))


def _legend(ax: Axes, band: bool) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    upright = Line2D([], [], color=_style.GREY, marker="|", markersize=9, linestyle="none")
    sample = Patch(facecolor=_style.GREY, alpha=0.3) if band else upright
    put_legend_above(ax, [*legend_entries(ax), (sample, "from the lowest run to the highest")])

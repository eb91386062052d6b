"""Figures of many runs: the outcome against one setting, and against all settings side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn.errors import InvalidArgument
from myrnn.plots import style
from myrnn.results import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes


# Means are drawn if a setting has at most this many values.
_FEW_VALUES = 12
# The width for runs with the same value of a setting: as a share of the distance to its neighbour, and at most of the
# whole axis.
_APART, _WIDEST = 0.5, 0.24
# Longer words than this would overlap.
_LONGEST_WORD = 24
# The most words of an axis of settings, and the characters that each of them has at least.
_MOST_WORDS, _SHORTEST_WORD = 20, 5
# Words closer than this share of an axis would be printed over each other.
_LEAST_GAP = 0.04
# Numbers with a larger ratio of largest to smallest have a log axis.
_WIDE = 9


def plot_setting(
    setting: Sequence[Any],
    outcome: ArrayLike,
    groups: Sequence[str] | None = None,
    *,
    name: str = "setting",
    outcome_name: str = "accuracy",
    ax: Axes | None = None,
) -> Axes:
    """Draw the outcome of runs against one of their settings: every run as a dot, the means of groups as lines.

    Parameters
    ----------
    setting : sequence of numbers, strings or None (R,)
        Its value in every run. Words, and None, are placed side by side.
    outcome : array_like (R,)
        For example accuracies; runs with NaN are left out.
    groups : sequence of str (R,), optional
        The group of every run.
    name, outcome_name : str
        The labels of the axes.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InvalidArgument
        When the lists are not equally long, or no outcome is known.

    Examples
    --------
    >>> units, accuracy = [8, 8, 16, 16], [0.7, 0.75, 0.9, 0.95]
    >>> ax = plot_setting(units, accuracy, ["GRU", "RNN", "GRU", "RNN"], name="units")
    >>> ax.get_xlabel(), [text.get_text() for text in ax.get_legend().get_texts()]
    ('units', ['GRU', 'RNN'])
    """
    y = _outcomes(outcome, len(setting))
    named = [""] * len(setting) if groups is None else list(groups)
    if len(named) != len(setting):
        raise InvalidArgument(f"groups must be one for each of the {len(setting)} runs, not {len(named)}")
    is_new = ax is None
    ax = style.axes_for(ax, height=style.GROUPS_HEIGHT)
    scale = Scale(setting)
    x = scale.places(setting)
    names = list(dict.fromkeys(named))
    # Words have space beside each other; numbers are placed by value.
    asides = style.beside(len(names), 0.0 if scale.is_number else 1.0, scale.high - scale.low + 1)
    for place, (group, aside) in enumerate(zip(names, asides, strict=True)):
        mine = np.array([other == group for other in named]) & np.isfinite(y)
        _draw_group(ax, x[mine] + aside, y[mine], scale, place, style.word_of(group))
    ticks = scale.ticks(8)
    places, words = scale.places(ticks), [word(value) for value in ticks]
    if scale.is_number:
        kept = style.apart(places, words, len(words) + 1)
        places, words = places[kept], [words[place] for place in kept]
    style.name_places(ax, places, words, turned=False if scale.is_number else None)
    if not scale.is_number:
        ax.set_xlim(scale.low - 0.5, scale.high + 0.5)
    ax.set_xlabel(name)
    ax.set_ylabel(outcome_name)
    if outcome_name != "loss":
        style.fit_accuracy(ax, y, None)
    if any(named):
        style.put_legend_above(ax, resize=is_new)
    return ax


def _draw_group(ax: Axes, x: Floats, y: Floats, scale: Scale, place: int, group: str) -> None:
    """Draw every run as a dot, and the means of runs at the same position if there are few positions."""
    look = style.series(place)
    means = [(at, y[x == at].mean()) for at in np.unique(x)]
    has_means = len(means) < len(y) and len(scale.values) <= _FEW_VALUES
    faint: dict[str, Any] = {"alpha": 0.45 if has_means else 0.7, "linewidths": 0}
    size, label = 14 if len(y) < 300 else 7, None if has_means else group or None
    ax.scatter(x, y, size, color=look["color"], marker=look["marker"], label=label, **faint)
    if has_means:
        line = look if scale.is_number else {**look, "linestyle": ""}
        ax.plot(*zip(*means, strict=True), markersize=6, label=group or None, **line)


def plot_parallel(
    settings: Mapping[str, Sequence[Any]], outcome: ArrayLike, *, outcome_name: str = "accuracy", ax: Axes | None = None
) -> Axes:
    """Draw every run as a line through the values of its settings to its outcome, which also sets its colour.

    Runs with the same value of a setting are spread out there, the better ones above.

    Parameters
    ----------
    settings : mapping of str to sequence (R,)
        The values of every setting by name: numbers, strings or None.
    outcome : array_like (R,)
        Runs with NaN are left out.
    outcome_name : str
        The label of the last axis.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InvalidArgument
        When there is no setting, the lists are not equally long, or no outcome is known.

    Examples
    --------
    >>> settings = {"cell": ["GRU", "RNN", "GRU"], "units": [8, 8, 16]}
    >>> ax = plot_parallel(settings, [0.7, 0.75, 0.9])
    >>> [text.get_text() for text in ax.get_xticklabels()]
    ['cell', 'units', 'accuracy']
    """
    if not settings:
        raise InvalidArgument("there is nothing to draw: settings is empty")
    y = _outcomes(outcome, len(next(iter(settings.values()))))
    if any(len(values) != len(y) for values in settings.values()):
        raise InvalidArgument("the settings must be equally long")
    known = np.flatnonzero(np.isfinite(y))
    known = known[np.argsort(y[known], kind="stable")]
    scales = {name: Scale(values) for name, values in settings.items()}
    heights = [
        _apart(scale.shares([settings[name][run] for run in known.tolist()]), scale) for name, scale in scales.items()
    ]
    low, high = y[known[0]], y[known[-1]]
    ranks = (y[known] - low) / (high - low) if high > low else np.full(len(known), 0.5)
    ax = style.axes_for(ax, height=4.0)
    _draw_lines(ax, np.array([*heights, ranks]).T, ranks)
    _draw_scales(ax, scales, (low, high), outcome_name)
    return ax


def _draw_lines(ax: Axes, heights: Floats, ranks: Floats) -> None:
    """Draw the runs, the best last."""
    from matplotlib import colormaps
    from matplotlib.collections import LineCollection

    across = np.arange(heights.shape[1])
    few = len(heights) <= 60
    ax.add_collection(
        LineCollection(
            [np.column_stack((across, row)) for row in heights],
            colors=colormaps["viridis"](style.VIRIDIS_END * ranks),
            linewidths=1.4 if few else 0.7,
            alpha=0.8 if few else 0.5,
            rasterized=len(heights) > 1000,
        )
    )


def _draw_scales(ax: Axes, scales: Mapping[str, Scale], ends: tuple[float, float], outcome_name: str) -> None:
    """Draw a vertical axis for every setting and for the outcome, with its values."""
    ax.grid(False)
    ax.spines[:].set_visible(False)
    ax.set_yticks([])
    ax.set_xlim(-0.3, len(scales) + 0.45)
    ax.set_ylim(-_WIDEST / 2 - 0.02, 1 + _WIDEST / 2 + 0.02)
    line: dict[str, Any] = {"color": style.GREY, "linewidth": 1, "zorder": 3}
    ground = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 1}
    text: dict[str, Any] = {"va": "center", "fontsize": 8.5, "bbox": ground, "zorder": 4}
    for place, scale in enumerate(scales.values()):
        ax.axvline(place, **line)
        ticks = _apart_enough(scale, scale.ticks(6))
        # So many words fit above each other, and of each so much beside the next axis.
        ticks = ticks[:: -(-len(ticks) // _MOST_WORDS)]
        longest = max(style.ROOM_FOR_NAMES // (len(scales) + 1), _SHORTEST_WORD)
        for value, height in zip(ticks, scale.shares(ticks), strict=True):
            ax.text(place, height, word(value, longest), ha="center", **text)
    ax.axvline(len(scales), **line)
    for value, share in _round_values(*ends):
        ax.plot([len(scales), len(scales) + 0.03], [share, share], **line)
        ax.text(len(scales) + 0.05, share, f"{value:g}", ha="left", **text)
    style.name_places(
        ax, range(len(scales) + 1), [style.word_of(name, _LONGEST_WORD) for name in (*scales, outcome_name)]
    )
    ax.tick_params(axis="x", length=0)


def _apart_enough(scale: Scale, ticks: Sequence[Any]) -> list[Any]:
    """Return the ticks without those that would be printed over the one below."""
    shown, last = [], -1.0
    for tick, share in zip(ticks, scale.shares(ticks), strict=True):
        if share - last >= _LEAST_GAP:
            shown.append(tick)
            last = share
    return shown


def _round_values(low: float, high: float) -> list[tuple[float, float]]:
    """Return round numbers from the lowest to the highest outcome, with their positions; a single outcome as it is."""
    from matplotlib.ticker import MaxNLocator

    if high == low:
        return [(float(f"{low:.3g}"), 0.5)]
    ticks = MaxNLocator(6, steps=[1, 2, 5, 10]).tick_values(low, high)
    return [(float(f"{value:.6g}"), (value - low) / (high - low)) for value in ticks if low <= value <= high]


def _apart(shares: Floats, scale: Scale) -> Floats:
    """Spread runs at the same position by their rank; they are in that order."""
    span = scale.high - scale.low
    room = min(_APART * scale.gap / span if span else 1.0, _WIDEST)
    moved = shares.copy()
    for share in np.unique(shares):
        mine = np.flatnonzero(shares == share)
        moved[mine] += np.linspace(-room / 2, room / 2, len(mine)) if len(mine) > 1 else 0.0
    return moved


def _outcomes(outcome: ArrayLike, count: int) -> Floats:
    """Return the outcomes of `count` runs, float64, NaN for unknown ones; raise InvalidArgument otherwise."""
    (values,) = style.columns(outcome=outcome)
    if len(values) != count:
        raise InvalidArgument(f"outcome must be one number for each of the {count} runs, not {len(values)}")
    if not np.isfinite(values).any():
        raise InvalidArgument("there is nothing to draw: no outcome is known")
    return values


class Scale:
    """The positions of a setting's values on an axis: numbers by value or logarithm, words at equal distances.

    Parameters
    ----------
    values : sequence of numbers, strings or None
    """

    def __init__(self, values: Sequence[Any]) -> None:
        distinct = list(dict.fromkeys(values))
        self.is_number = all(isinstance(value, int | float) for value in distinct)
        self.values = sorted(distinct) if self.is_number else distinct
        self.is_wide = self.is_number and self.values[0] > 0 and self.values[-1] > _WIDE * self.values[0]
        places = np.unique(self.places(self.values))
        self.low, self.high = places[0], places[-1]
        self.gap = float(np.diff(places).min()) if len(places) > 1 else 1.0

    def places(self, values: Sequence[Any]) -> NDArray[np.float64]:
        """Return the positions of values."""
        if not self.is_number:
            index = {value: place for place, value in enumerate(self.values)}
            return np.array([index[value] for value in values], dtype=np.float64)
        numbers = np.array(values, dtype=np.float64)
        return np.log10(numbers) if self.is_wide else numbers

    def shares(self, values: Sequence[Any]) -> NDArray[np.float64]:
        """Return the positions scaled to 0 to 1."""
        if self.high == self.low:
            return np.full(len(values), 0.5)
        return (self.places(values) - self.low) / (self.high - self.low)

    def ticks(self, most: int) -> list[Any]:
        """Return the values to write on the axis: all, or some round ones of many numbers."""
        if not self.is_number or len(self.values) <= most:
            return self.values
        if self.is_wide:
            powers = range(int(np.floor(self.low)), int(np.ceil(self.high)) + 1)
            steps = (1, 2, 5) if self.high - self.low < 1.5 else (1, 3) if self.high - self.low < 4 else (1,)
            round_ones = [step * 10.0**power for power in powers for step in steps]
        else:
            from matplotlib.ticker import MaxNLocator

            round_ones = list(MaxNLocator(most - 2).tick_values(self.low, self.high))
        return [value for value in round_ones if self.values[0] <= value <= self.values[-1]]


def word(value: Any, longest: int = _LONGEST_WORD) -> str:
    """Return a value as written on an axis."""
    if value is None:
        return "none"
    if isinstance(value, float):
        return f"{value:g}"
    is_count = isinstance(value, int) and not isinstance(value, bool)
    return f"{value:,}" if is_count else style.word_of(str(value), min(longest, _LONGEST_WORD))

"""Figures of accuracy against length: of models, of shortcuts, of groups of runs."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import fill
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.evaluation import Comparison, LengthReport, ShortcutReport
from myrnn.plots import style
from myrnn.results import draws

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]

_BEYOND = "longer than trained on"
_MOST_TICKS = 20
# Colours that the model and its two classes do not use come first.
_SHORTCUT_COLORS = (style.ORANGE, style.PURPLE, style.SKY, style.GREY, style.GREEN, style.VERMILLION)
_SHORTCUT_DASHES = ((4, 2), (1, 1.5), (6, 2, 1, 2), (2, 1), (8, 2), (3, 3))
# More bands than this hide each other: draw an upright bar at every length instead.
_MOST_BANDS = 3
# Panels side by side in a grid, the height of each in inches, and that of the legend.
_GRID_COLUMNS, _PANEL_HEIGHT, _LEGEND_HEIGHT = 3, 1.6, 0.7
# The height of a line of the legend of a grid in inches, the characters that fit into one, and into a title's line.
_LEGEND_LINE, _LEGEND_ROOM, _TITLE_WIDTH = 0.17, 100, 27
_BESIDE = 0.6  # the share of the distance to the next length that the bars of all groups occupy


@draws(LengthReport)
def plot_accuracy_by_length(
    report: LengthReport,
    *,
    label: str | None = None,
    shortcuts: ShortcutReport | None = None,
    by_class: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """Draw accuracy against the length of the sequence, with an interval at every length.

    A dashed line shows the base rate, the share of the most frequent class at each length, or guessing if the report
    does not count classes.
    Lengths beyond the training get hollow markers on a shaded background. Call it again with the same `ax` and another
    `label` to compare models.

    Parameters
    ----------
    report : LengthReport
    label : str, optional
        The name of the model in the legend.
    shortcuts : ShortcutReport, optional
        The accuracy of classifiers with less information, at the same lengths: dashed lines instead of the base rate.
    by_class : bool
        Whether to also draw the accuracy for each true class.
    ax : matplotlib Axes, optional
        By default those of a new figure.

    Returns
    -------
    matplotlib Axes

    Examples
    --------
    >>> import numpy as np
    >>> from myrnn.evaluation import LengthReport
    >>> lengths, total = np.array([2, 4, 6]), np.array([100, 100, 100])
    >>> report = LengthReport(lengths, total, np.array([99, 95, 60]), chance=0.5, trained_length=4)
    >>> ax = plot_accuracy_by_length(report, label="GRU")
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['GRU', 'longer than trained on', 'chance']
    """
    known = None if shortcuts is None else report.matching(shortcuts)
    is_new = ax is None
    ax = style.axes_for(ax, height=3.6)
    if label is None and (shortcuts is not None or by_class):
        label = "the model"
    _draw_model(ax, report, None if label is None else style.word_of(label))
    shade_beyond(ax, report.lengths, report.trained_length)
    level = None if shortcuts is not None else report.base_rate if report.class_names else report.chance
    _draw_level(ax, report.lengths, level)
    _fit_lengths(ax)
    style.fit_accuracy(ax, report.interval[:, 0], level)
    _name_axes(ax)
    if by_class:
        _draw_classes(ax, report)
    if known is not None:
        _draw_shortcuts(ax, known)
    entries = legend_entries(ax)
    if by_class or shortcuts is not None:
        style.put_legend_above(ax, entries)
        if is_new:
            style.fit_height(ax)
    elif entries:
        style.add_legend(ax, entries)
    return ax


@draws(Comparison)
def plot_comparison(comparison: Comparison, *, ax: Axes | None = None) -> Axes:
    """Draw the curves of both models, each at all its lengths."""
    ax = plot_accuracy_by_length(comparison.first, label=comparison.names[0], ax=ax)
    return plot_accuracy_by_length(comparison.second, label=comparison.names[1], ax=ax)


@draws(ShortcutReport)
def plot_shortcuts(report: ShortcutReport, *, ax: Axes | None = None) -> Axes:
    """Draw accuracy against length for each shortcut, as dashed lines.

    Shortcuts whose intervals overlap at every length are merged: their mean is drawn as one line with all their names.

    Parameters
    ----------
    report : ShortcutReport
    ax : matplotlib Axes, optional
        By default those of a new figure.

    Returns
    -------
    matplotlib Axes

    Examples
    --------
    >>> from myrnn import shortcuts, tasks
    >>> ax = plot_shortcuts(shortcuts(tasks.TwinHalves(pattern_length_max=2), samples=400))
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('length of the sequence', 'accuracy')
    """
    ax = style.axes_for(ax, height=3.6)
    if not ax.has_data():
        _name_axes(ax)
        tick_lengths(ax, report.lengths)
    _draw_shortcuts(ax, report)
    style.put_legend_above(ax, legend_entries(ax))
    return ax


def plot_length_bands(
    lengths: ArrayLike,
    curves: Mapping[str, ArrayLike],
    *,
    trained_up_to: int | None = None,
    base_rate: ArrayLike | None = None,
    chance: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw accuracy against length for groups of runs: the mean as a line, a band from the lowest to the highest.

    More than three bands would hide each other, so an upright bar is drawn at every length instead.

    Parameters
    ----------
    lengths : array_like of int (N,)
        T of the sequences.
    curves : mapping of str to array_like (R, N)
        The accuracies of the R runs of each group, by name.
    trained_up_to : int, optional
        The longest length in the training; longer ones have a shaded background.
    base_rate : array_like of float (N,), optional
        The share of the most frequent class at each length, drawn as a line.
    chance : float, optional
        The accuracy of guessing, drawn as a line if the base rate is not known.
    ax : matplotlib Axes, optional
        By default those of a new figure.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InvalidArgument
        When there is no curve, or the arrays are not of these shapes.

    Examples
    --------
    >>> gru = [[1.0, 0.9, 0.6], [1.0, 0.95, 0.8]]  # two runs at three lengths
    >>> rnn = [[0.9, 0.6, 0.5], [0.95, 0.7, 0.5]]
    >>> ax = plot_length_bands([2, 4, 6], {"GRU": gru, "RNN": rnn}, trained_up_to=4, chance=0.5)
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['GRU', 'RNN', 'longer than trained on', 'chance', 'from the lowest run to the highest']
    """
    (x,) = style.columns(lengths=lengths)
    runs = {name: _runs(name, values, x) for name, values in curves.items()}
    if not runs:
        raise InvalidArgument("there is no curve to draw: curves is empty")
    is_new = ax is None
    ax = style.axes_for(ax, height=style.GROUPS_HEIGHT)
    with_bands = sum(len(accuracy) > 1 for accuracy in runs.values()) <= _MOST_BANDS
    beyond = x > (np.inf if trained_up_to is None else trained_up_to)
    for place, (name, accuracy) in enumerate(runs.items()):
        at = x if with_bands else x + _aside(place, len(runs), x)
        _draw_runs(ax, at, accuracy, beyond, style.series(place), with_bands, style.word_of(name))
    outmost = 0.0 if with_bands else abs(_aside(0, len(runs), x))
    margin = max(0.02 * (x[-1] - x[0]), 0.5) + outmost
    ax.set_xlim(x[0] - margin, x[-1] + margin)
    tick_lengths(ax, x)
    shade_beyond(ax, x, trained_up_to)
    _stretch_shades(ax, x[-1] + margin)
    level = _level(x, base_rate, chance)
    _draw_level(ax, x, level)
    style.fit_accuracy(ax, np.concatenate([accuracy.min(axis=0) for accuracy in runs.values()]), level)
    _name_axes(ax)
    sample = [_band_sample(with_bands)] if any(len(accuracy) > 1 for accuracy in runs.values()) else []
    style.put_legend_above(ax, [*legend_entries(ax), *sample])
    if is_new:
        style.fit_height(ax)
    return ax


class Panel(NamedTuple):
    """What `plot_length_bands` draws, as a panel of a grid.

    Attributes
    ----------
    lengths, curves, trained_up_to, base_rate, chance
        The arguments of `plot_length_bands`.

    Examples
    --------
    >>> from myrnn.plots import plot_length_grid
    >>> panel = Panel([2, 4, 6], {"GRU": [[1.0, 0.9, 0.6], [1.0, 0.95, 0.8]]}, trained_up_to=4, chance=0.5)
    >>> axes = plot_length_grid({"twin halves": panel})
    """

    lengths: ArrayLike
    curves: Mapping[str, ArrayLike]
    trained_up_to: int | None = None
    base_rate: ArrayLike | None = None
    chance: float | None = None


def plot_length_grid(panels: Mapping[str, Panel]) -> NDArray[Any]:
    """Draw accuracy against length for groups of runs, one panel per task, in a new figure with one legend.

    A group has the same colour in all panels.

    Parameters
    ----------
    panels : mapping of str to Panel
        The panels by title.

    Returns
    -------
    ndarray of matplotlib Axes

    Raises
    ------
    InvalidArgument
        When there is no panel or a panel has no curve.

    Examples
    --------
    >>> from myrnn.plots import Panel
    >>> gru = [[1.0, 0.9, 0.6], [1.0, 0.95, 0.8]]  # two runs at three lengths
    >>> rnn = [[0.9, 0.6, 0.5], [0.95, 0.7, 0.5]]
    >>> panels = {
    ...     "twin halves": Panel([2, 4, 6], {"GRU": gru, "RNN": rnn}, chance=0.5),
    ...     "palindromes": Panel([2, 4, 6], {"GRU": rnn, "RNN": gru}, chance=0.5),
    ... }
    >>> [ax.get_title() for ax in plot_length_grid(panels)]
    ['twin halves', 'palindromes']
    """
    if not panels:
        raise InvalidArgument("there is nothing to draw: panels is empty")
    rows = -(-len(panels) // _GRID_COLUMNS)
    names = list(dict.fromkeys(name for panel in panels.values() for name in panel.curves))
    # Besides the curves the legend may have a line for the base rate.
    legend_columns = max(1, min(4, _LEGEND_ROOM // (max(len(style.word_of(name)) for name in names) + 8)))
    legend_rows = -(-(len(names) + 1) // legend_columns)
    height = _PANEL_HEIGHT * rows + max(_LEGEND_HEIGHT, _LEGEND_LINE * legend_rows)
    axes = style.new_grid(len(panels), min(_GRID_COLUMNS, len(panels)), height)
    looks = {name: {**style.series(place), "marker": ""} for place, name in enumerate(names)}
    entries: dict[str, Any] = {}
    for place, (ax, (title, panel)) in enumerate(zip(axes, panels.items(), strict=True)):
        entries |= _draw_panel(ax, panel, looks)
        ax.set_title(fill(style.word_of(title, 2 * _TITLE_WIDTH - 6), _TITLE_WIDTH), fontsize=9)
        ax.tick_params(labelsize=8)
        if place % _GRID_COLUMNS:
            ax.tick_params(labelleft=False)
    figure = axes[0].figure
    figure.supxlabel("length of the sequence", fontsize=10)
    figure.supylabel("accuracy", fontsize=10)
    figure.legend(
        entries.values(),
        entries,
        loc="outside upper center",
        ncols=min(len(entries), legend_columns),
        frameon=False,
        fontsize=8,
    )
    return axes


# Curves ---------------------------------------------------------------------------------------------------------------


def _draw_model(ax: Axes, report: LengthReport, label: str | None) -> None:
    look = style.series(len(ax.containers))
    bars = style.interval_bars(report.accuracy, report.interval)
    if len(report.lengths) > style.MANY_POINTS:
        # Bars and markers would merge into one area.
        low, high = report.interval.T
        ax.fill_between(report.lengths, low, high, color=look["color"], alpha=0.16, linewidth=0)
        thin = {**look, "marker": "", "linewidth": 1.0, "elinewidth": 0, "label": label}
        ax.errorbar(report.lengths, report.accuracy, bars, **thin)
        return
    settings: dict[str, Any] = {"markersize": 5, "linewidth": 1.6, "elinewidth": 1, "capsize": 2.5, "label": label}
    ax.errorbar(report.lengths, report.accuracy, bars, **look, **settings)
    hollow = {**look, "markersize": 5, "markerfacecolor": "white", "linestyle": ""}
    if report.beyond.any():
        ax.plot(report.lengths[report.beyond], report.accuracy[report.beyond], zorder=3, **hollow)


def _draw_classes(ax: Axes, report: LengthReport) -> None:
    for place, (name, shares) in enumerate(zip(report.class_names, report.class_accuracy.T, strict=True), 1):
        look = {**style.series(place), "linestyle": "-", "markersize": 3.5, "linewidth": 1.0, "zorder": 1.8}
        ax.plot(report.lengths, shares, label=f"{style.word_of(name)} only", **look)
    style.fit_accuracy(ax, report.class_accuracy.ravel(), None)


def _draw_shortcuts(ax: Axes, report: ShortcutReport) -> None:
    for place, (name, level) in enumerate(_told_apart(report).items()):
        color = _SHORTCUT_COLORS[place % len(_SHORTCUT_COLORS)]
        dashes = _SHORTCUT_DASHES[place % len(_SHORTCUT_DASHES)]
        marker = "." if len(level) == 1 else ""
        look: dict[str, Any] = {"color": color, "dashes": dashes, "marker": marker, "linewidth": 1.5, "zorder": 1.5}
        ax.plot(report.lengths, level, label=name, **look)
    style.fit_accuracy(ax, report.accuracy.ravel(), None)


def _told_apart(report: ShortcutReport) -> dict[str, Floats]:
    """Return the curves; those that cannot be distinguished are averaged under their joint names."""
    groups: list[list[int]] = []
    for i, ends in enumerate(report.interval):
        alike = (group for group in groups if all(_overlap(ends, report.interval[j]) for j in group))
        group = next(alike, None)
        if group is None:
            groups.append([i])
        else:
            group.append(i)
    return {" / ".join(report.names[i] for i in group): report.accuracy[group].mean(axis=0) for group in groups}


def _overlap(one: Floats, other: Floats) -> bool:
    """Return whether intervals (L, 2) overlap at every length; a gap, NaN, excludes nothing."""
    return not np.any((one[:, 0] > other[:, 1]) | (other[:, 0] > one[:, 1]))


def _draw_panel(ax: Axes, panel: Panel, looks: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Draw a panel of a grid, and return its legend entries by name."""
    from matplotlib.ticker import MaxNLocator

    (x,) = style.columns(lengths=panel.lengths)
    runs = {name: _runs(name, values, x) for name, values in panel.curves.items()}
    if not runs:
        raise InvalidArgument("there is no curve to draw: curves is empty")
    for name, accuracy in runs.items():
        # A line of one point is invisible.
        look = looks[name] if len(x) > 1 else {**looks[name], "marker": "o"}
        _draw_runs(ax, x, accuracy, np.zeros(len(x), dtype=np.bool_), look, True, style.word_of(name))
    margin = max(0.02 * (x[-1] - x[0]), 0.5)
    ax.set_xlim(x[0] - margin, x[-1] + margin)
    shade_beyond(ax, x, panel.trained_up_to)
    _stretch_shades(ax, x[-1] + margin)
    _draw_level(ax, x, _level(x, panel.base_rate, panel.chance))
    ax.set_ylim(0.0, 1.03)
    style.share_ticks(ax)
    if len(x) > 1:
        ax.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    else:
        tick_lengths(ax, x)
    handles, names = ax.get_legend_handles_labels()
    return dict(zip(names, handles, strict=True))


def _draw_runs(
    ax: Axes, at: Floats, accuracy: Floats, beyond: NDArray[np.bool_], look: dict[str, Any], band: bool, name: str
) -> None:
    low, high, mean = accuracy.min(axis=0), accuracy.max(axis=0), accuracy.mean(axis=0)
    if len(accuracy) > 1 and band:
        ax.fill_between(at, low, high, color=look["color"], alpha=0.16, linewidth=0)
    elif len(accuracy) > 1:
        ax.vlines(at, low, high, color=look["color"], alpha=0.6, linewidth=1.2)
    ax.plot(at, mean, linewidth=1.6, markersize=4.5, label=name, **look)
    ax.plot(at[beyond], mean[beyond], markersize=4.5, markerfacecolor="white", **{**look, "linestyle": ""})


def _runs(name: str, values: ArrayLike, x: Floats) -> Floats:
    runs = _checks.array(f"the curves of {name}", values)
    if runs.ndim != 2 or runs.shape[1] != len(x) or not len(runs):
        raise InvalidArgument(f"the curves of {name} must be of shape (R, {len(x)}), not {runs.shape}")
    return runs.astype(np.float64)


def _level(x: Floats, base_rate: ArrayLike | None, chance: float | None) -> Floats | float | None:
    """Return the base rate at each length, or the accuracy of guessing, or None."""
    if base_rate is None:
        return chance
    (rates,) = style.columns(base_rate=base_rate)
    if len(rates) != len(x):
        raise InvalidArgument(f"base_rate must be one number for each of the {len(x)} lengths, not {len(rates)}")
    return rates


def _draw_level(ax: Axes, lengths: NDArray[Any], level: Floats | float | None) -> None:
    """Draw the base rate at each length, or the accuracy of guessing."""
    if isinstance(level, np.ndarray):
        style.draw_base_rate(ax, lengths, level)
    elif level is not None:
        style.draw_chance(ax, level)


def _aside(place: int, groups: int, x: Floats) -> float:
    """Return the offset of a group from its length, so that the bars of several groups are side by side."""
    room = _BESIDE * float(np.diff(x).min()) if len(x) > 1 else 0.0
    return room * ((place + 0.5) / groups - 0.5)


# Ground, limits, ticks and legends ------------------------------------------------------------------------------------


def shade_beyond(ax: Axes, lengths: NDArray[Any], trained_up_to: int | None) -> None:
    """Shade the lengths beyond the training, if there are any, once for each boundary."""
    from matplotlib.patches import Rectangle

    if trained_up_to is None or not (lengths > trained_up_to).any():
        return
    boundary = (trained_up_to + lengths[lengths > trained_up_to].min()) / 2
    if any(patch.get_x() == boundary for patch in _shades(ax)):
        return
    shade = Rectangle((boundary, 0), 1, 1, transform=ax.get_xaxis_transform(), color="black", alpha=0.06, linewidth=0)
    shade.set_gid(_BEYOND)
    shade.set_zorder(0)
    ax.add_artist(shade)  # unlike add_patch, this does not affect the limits


def _shades(ax: Axes) -> list[Any]:
    return [artist for artist in ax.get_children() if artist.get_gid() == _BEYOND]


def _stretch_shades(ax: Axes, end: float) -> None:
    """Extend the shaded areas to `end`."""
    for shade in _shades(ax):
        shade.set_width(end - shade.get_x())


def _fit_lengths(ax: Axes) -> None:
    """Fit the axis to the lengths of all curves, with a tick at each or every k-th."""
    from matplotlib.container import ErrorbarContainer

    curves = [np.asarray(curve[0].get_xdata()) for curve in ax.containers if isinstance(curve, ErrorbarContainer)]
    lengths = np.unique(np.concatenate(curves))
    margin = max(0.03 * (lengths[-1] - lengths[0]), 0.5)
    ax.set_xlim(lengths[0] - margin, lengths[-1] + margin)
    tick_lengths(ax, lengths)
    ax.set_xticks(lengths if len(lengths) <= style.FEW_POINTS else [], minor=True)
    _stretch_shades(ax, lengths[-1] + margin)


def tick_lengths(ax: Axes, lengths: NDArray[Any]) -> None:
    """Put a tick at each length, or at as many as have room."""
    names = [f"{length:.0f}" for length in lengths]
    shown = style.apart(np.asarray(lengths), names, _MOST_TICKS)
    ax.set_xticks(lengths[shown], labels=[names[place] for place in shown])


def _name_axes(ax: Axes) -> None:
    ax.set_xlabel("length of the sequence")
    ax.set_ylabel("accuracy")


def legend_entries(ax: Axes) -> list[tuple[Any, str]]:
    """Return the legend entries: models first, then the other curves, the hollow markers, base rate and chance."""
    from matplotlib.container import ErrorbarContainer
    from matplotlib.lines import Line2D

    named = list(zip(*ax.get_legend_handles_labels(), strict=True))
    levels = {text: (handle, text) for handle, text in reversed(named) if text in (style.BASE_RATE, style.CHANCE)}
    curves = [(handle, text) for handle, text in named if text not in levels]
    curves.sort(key=lambda entry: not isinstance(entry[0], ErrorbarContainer))
    if _shades(ax):
        sample = Line2D([], [], marker="o", color=style.GREY, markerfacecolor="white", linestyle="none")
        curves.append((sample, _BEYOND))
    return [*curves, *levels.values()]


def _band_sample(band: bool) -> tuple[Any, str]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    upright = Line2D([], [], color=style.GREY, marker="|", markersize=9, linestyle="none")
    return (Patch(facecolor=style.GREY, alpha=0.3) if band else upright), "from the lowest run to the highest"

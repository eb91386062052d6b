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
from myrnn.results import Floats, draws

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Lengths (N,), runs (R, N) by group, and the base rates (N,) or the accuracy of guessing.
_Groups = tuple[Floats, dict[str, Floats], Floats | float | None]

_AXES = {"xlabel": "length of the sequence", "ylabel": "accuracy"}
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
    is_new, has_others = ax is None, by_class or known is not None
    ax = style.axes_for(ax, height=3.6)
    _draw_model(ax, report, "the model" if label is None and has_others else label)
    level = None if known is not None else report.base_rate if report.class_names else report.chance
    _draw_level(ax, report.lengths, level)
    _fit_lengths(ax, report)
    style.fit_accuracy(ax, report.interval[:, 0], level)
    ax.set(**_AXES)
    if by_class:
        _draw_classes(ax, report)
    if known is not None:
        _draw_shortcuts(ax, known)
    if has_others:
        style.put_legend_above(ax, _legend_entries(ax), resize=is_new)
    else:
        style.add_legend(ax, _legend_entries(ax))
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
        ax.set(**_AXES)
        _tick_lengths(ax, report.lengths)
    _draw_shortcuts(ax, report)
    style.put_legend_above(ax, _legend_entries(ax))
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
    groups = x, runs, level = _checked(Panel(lengths, curves, trained_up_to, base_rate, chance))
    is_new = ax is None
    ax = style.axes_for(ax, height=style.GROUPS_HEIGHT)
    bands = sum(len(accuracy) > 1 for accuracy in runs.values())
    looks = {name: style.series(place) for place, name in enumerate(runs)}
    _draw_groups(ax, groups, looks, trained_up_to, hollow=True, upright=bands > _MOST_BANDS)
    _tick_lengths(ax, x)
    style.fit_accuracy(ax, np.concatenate([accuracy.min(axis=0) for accuracy in runs.values()]), level)
    ax.set(**_AXES)
    sample = [_band_sample(bands > _MOST_BANDS)] if bands else []
    style.put_legend_above(ax, [*_legend_entries(ax), *sample], resize=is_new)
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
    from matplotlib.ticker import FixedLocator, MaxNLocator

    if not panels:
        raise InvalidArgument("there is nothing to draw: panels is empty")
    rows = -(-len(panels) // _GRID_COLUMNS)
    names = list(dict.fromkeys(name for panel in panels.values() for name in panel.curves))
    # Besides the curves the legend may have a line for the base rate.
    legend_columns = max(1, min(4, _LEGEND_ROOM // (max(len(style.word_of(name)) for name in names) + 8)))
    legend_rows = -(-(len(names) + 1) // legend_columns)
    height = _PANEL_HEIGHT * rows + max(_LEGEND_HEIGHT, _LEGEND_LINE * legend_rows)
    axes = style.new_grid(len(panels), min(_GRID_COLUMNS, len(panels)), height)
    looks = {name: style.series(place, markers=False) for place, name in enumerate(names)}
    entries: dict[str, Any] = {}
    for place, (ax, (title, panel)) in enumerate(zip(axes, panels.items(), strict=True)):
        x, *_ = groups = _checked(panel)
        _draw_groups(ax, groups, looks, panel.trained_up_to)
        ax.set_ylim(0.0, 1.03)
        style.share_ticks(ax)
        ax.xaxis.set_major_locator(MaxNLocator(4, integer=True) if len(x) > 1 else FixedLocator(x.tolist()))
        entries |= {text: handle for handle, text in style.labelled(ax)}
        ax.set_title(fill(style.word_of(title, 2 * _TITLE_WIDTH - 6), _TITLE_WIDTH), fontsize=9)
        ax.tick_params(labelsize=8)
        if place % _GRID_COLUMNS:
            ax.tick_params(labelleft=False)
    figure = axes[0].figure
    figure.supxlabel(_AXES["xlabel"], fontsize=10)
    figure.supylabel(_AXES["ylabel"], fontsize=10)
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
    is_dense = len(report.lengths) > style.MANY_POINTS
    if is_dense:
        # Bars and markers would merge into one area.
        low, high = report.interval.T
        _draw_band(ax, report.lengths, low, high, look)
        look |= {"marker": "", "linewidth": 1.0, "elinewidth": 0, "capsize": 0}
    style.draw_intervals(ax, report.lengths, report.accuracy, report.interval, label, **look)
    if report.beyond.any() and not is_dense:
        hollow = {**look, "markersize": 5, "markerfacecolor": "white", "linestyle": ""}
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


def _draw_groups(
    ax: Axes,
    groups: _Groups,
    looks: Mapping[str, dict[str, Any]],
    trained_up_to: int | None,
    hollow: bool = False,
    upright: bool = False,
) -> None:
    """Draw groups of runs, with hollow markers beyond the training, and upright bars instead of bands."""
    x, runs, level = groups
    gap = float(np.diff(x).min()) if upright and len(x) > 1 else 0.0
    asides = style.beside(len(runs), gap, float(x[-1] - x[0]) + gap)
    beyond = x > (trained_up_to if hollow and trained_up_to is not None else np.inf)
    for aside, (name, accuracy) in zip(asides, runs.items(), strict=True):
        # A line of one point is invisible.
        at, look = x + aside, looks[name] if len(x) > 1 else {"marker": "o", **looks[name]}
        low, high, mean = accuracy.min(axis=0), accuracy.max(axis=0), accuracy.mean(axis=0)
        if len(accuracy) > 1 and not upright:
            _draw_band(ax, at, low, high, look)
        elif len(accuracy) > 1:
            ax.vlines(at, low, high, color=look["color"], alpha=0.6, linewidth=1.2)
        ax.plot(at, mean, linewidth=1.6, markersize=4.5, label=style.word_of(name), **look)
        ax.plot(at[beyond], mean[beyond], markersize=4.5, markerfacecolor="white", **{**look, "linestyle": ""})
    margin = max(0.02 * (x[-1] - x[0]), 0.5) + abs(asides[0])
    ax.set_xlim(x[0] - margin, x[-1] + margin)
    _shade_beyond(ax, x, trained_up_to)
    _draw_level(ax, x, level)


def _draw_band(ax: Axes, x: NDArray[Any], low: Floats, high: Floats, look: dict[str, Any]) -> None:
    ax.fill_between(x, low, high, color=look["color"], alpha=0.16, linewidth=0)


def _checked(panel: Panel) -> _Groups:
    """Return what a panel shows, checked."""
    (x,) = style.columns(lengths=panel.lengths)
    runs = {name: _checks.array(f"the curves of {name}", values) for name, values in panel.curves.items()}
    if not runs:
        raise InvalidArgument("there is no curve to draw: curves is empty")
    for name, values in runs.items():
        if values.ndim != 2 or values.shape[1] != len(x) or not len(values):
            raise InvalidArgument(f"the curves of {name} must be of shape (R, {len(x)}), not {values.shape}")
    level: Any = panel.chance
    if panel.base_rate is not None:
        (level,) = style.columns(base_rate=panel.base_rate)
        if len(level) != len(x):
            raise InvalidArgument(f"base_rate must be one number for each of the {len(x)} lengths, not {len(level)}")
    return x, {name: values.astype(np.float64) for name, values in runs.items()}, level


def _draw_level(ax: Axes, lengths: NDArray[Any], level: Floats | float | None) -> None:
    """Draw the base rate at each length, or the accuracy of guessing."""
    if isinstance(level, np.ndarray):
        style.draw_base_rate(ax, lengths, level)
    elif level is not None:
        style.draw_chance(ax, level)


# Ground, limits, ticks and legends ------------------------------------------------------------------------------------


def _shade_beyond(ax: Axes, lengths: NDArray[Any], trained_up_to: int | None) -> None:
    """Shade the lengths beyond the training, once for each boundary, up to the end of the axis."""
    from matplotlib.patches import Rectangle

    beyond = lengths[lengths > trained_up_to] if trained_up_to is not None else lengths[:0]
    if trained_up_to is not None and len(beyond):
        boundary = (trained_up_to + beyond.min()) / 2
        if all(shade.get_x() != boundary for shade in _shades(ax)):
            look: dict[str, Any] = {"color": "black", "alpha": 0.06, "linewidth": 0, "zorder": 0, "gid": _BEYOND}
            shade = Rectangle((boundary, 0), 1, 1, transform=ax.get_xaxis_transform(), **look)
            ax.add_artist(shade)  # unlike add_patch, this does not affect the limits
    for shade in _shades(ax):
        shade.set_width(ax.get_xlim()[1] - shade.get_x())


def _shades(ax: Axes) -> list[Any]:
    return [artist for artist in ax.get_children() if artist.get_gid() == _BEYOND]


def _fit_lengths(ax: Axes, report: LengthReport) -> None:
    """Fit the axis to the lengths of all curves, with a tick at each or every k-th, and shade those beyond."""
    from matplotlib.container import ErrorbarContainer

    curves = [np.asarray(curve[0].get_xdata()) for curve in ax.containers if isinstance(curve, ErrorbarContainer)]
    lengths = np.unique(np.concatenate(curves))
    margin = max(0.03 * (lengths[-1] - lengths[0]), 0.5)
    ax.set_xlim(lengths[0] - margin, lengths[-1] + margin)
    _tick_lengths(ax, lengths)
    ax.set_xticks(lengths if len(lengths) <= style.FEW_POINTS else [], minor=True)
    _shade_beyond(ax, report.lengths, report.trained_length)


def _tick_lengths(ax: Axes, lengths: NDArray[Any]) -> None:
    """Put a tick at each length, or at as many as have room."""
    names = [f"{length:.0f}" for length in lengths]
    shown = style.apart(np.asarray(lengths), names, _MOST_TICKS)
    ax.set_xticks(lengths[shown], labels=[names[place] for place in shown])


def _legend_entries(ax: Axes) -> list[tuple[Any, str]]:
    """Return the legend entries: models first, then the other curves, the hollow markers, base rate and chance."""
    from matplotlib.container import ErrorbarContainer
    from matplotlib.lines import Line2D

    named = style.labelled(ax)
    levels = {text: (handle, text) for handle, text in reversed(named) if text in (style.BASE_RATE, style.CHANCE)}
    curves = [(handle, text) for handle, text in named if text not in levels]
    curves.sort(key=lambda entry: not isinstance(entry[0], ErrorbarContainer))
    if _shades(ax):
        sample = Line2D([], [], marker="o", color=style.GREY, markerfacecolor="white", linestyle="none")
        curves.append((sample, _BEYOND))
    return [*curves, *levels.values()]


def _band_sample(upright: bool) -> tuple[Any, str]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    bar = Line2D([], [], color=style.GREY, marker="|", markersize=9, linestyle="none")
    return (bar if upright else Patch(facecolor=style.GREY, alpha=0.3)), "from the lowest run to the highest"

"""What figures of accuracies share: chance, the ground beyond the trained lengths, limits, ticks and legends."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from myrnn import _checks
from myrnn.plots import _style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# matplotlib is loaded only when something is drawn: importing it is most of our start-up time.

CHANCE = "chance"
_BEYOND = "longer than trained on"
_MOST_TICKS = 20
_LEGEND_COLUMNS = 3
# What the axes and the legend above them have of a figure's width, without the labels at the side.
_SHARE_OF_AXES = 0.88


def draw_chance(ax: Axes, chance: float) -> None:
    """Draw the level of guessing, once for each level."""
    level = _checks.real("chance", chance, minimum=0.0)
    if any(line.get_gid() == CHANCE and line.get_ydata()[0] == level for line in ax.get_lines()):  # type: ignore[index]
        return
    ax.axhline(level, color=_style.GREY, linestyle="--", linewidth=1.2, label=CHANCE, gid=CHANCE, zorder=1)


def shade_beyond(ax: Axes, lengths: NDArray[np.float64], trained_up_to: int | None) -> None:
    """Shade the lengths beyond those trained on, if there are any, once for each boundary."""
    from matplotlib.patches import Rectangle

    if trained_up_to is None or not (lengths > trained_up_to).any():
        return
    boundary = (trained_up_to + lengths[lengths > trained_up_to].min()) / 2
    if any(patch.get_x() == boundary for patch in _shades(ax)):
        return
    shade = Rectangle((boundary, 0), 1, 1, transform=ax.get_xaxis_transform(), color="black", alpha=0.06, linewidth=0)
    shade.set_gid(_BEYOND)
    shade.set_zorder(0)
    ax.add_artist(shade)  # not add_patch: the ground does not take part in choosing the limits


def _shades(ax: Axes) -> list[Any]:
    return [artist for artist in ax.get_children() if artist.get_gid() == _BEYOND]


def stretch_shades(ax: Axes, end: float) -> None:
    """Let what is shaded reach to `end`."""
    for shade in _shades(ax):
        shade.set_width(end - shade.get_x())


def tick_lengths(ax: Axes, lengths: NDArray[np.float64]) -> None:
    """Put a tick at each length, or at every k-th."""
    shown = lengths[:: -(-len(lengths) // _MOST_TICKS)]
    ax.set_xticks(shown, labels=[f"{length:.0f}" for length in shown])


def fit_accuracy(ax: Axes, values: NDArray[np.float64], chance: float | None) -> None:
    """Let the axis reach from a little below the lowest value ever drawn here to 1."""
    known = [*values[np.isfinite(values)], 1.0 if chance is None else chance]
    bottom = max(0.0, min(known) - 0.05)
    # The limits of untouched axes start at 0 and say nothing.
    before = ax.get_ylim()[0] if not ax.get_autoscaley_on() else bottom
    ax.set_ylim(min(bottom, before), 1.03)


def legend_entries(ax: Axes) -> list[tuple[Any, str]]:
    """Name what needs a name: the curves with labels, the hollow markers, chance."""
    from matplotlib.lines import Line2D

    handles, labels = ax.get_legend_handles_labels()
    curves = [(h, text) for h, text in zip(handles, labels, strict=True) if text != CHANCE]
    levels = [(h, text) for h, text in zip(handles, labels, strict=True) if text == CHANCE]
    if _shades(ax):
        sample = Line2D([], [], marker="o", color=_style.GREY, markerfacecolor="white", linestyle="none")
        curves.append((sample, _BEYOND))
    return curves + levels[:1]


def put_legend_above(ax: Axes, entries: Iterable[tuple[Any, str]]) -> None:
    """Put the legend above the axes, since the curves leave no room for so many names, in as many columns as fit."""
    handles, labels = zip(*entries, strict=True)
    look: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0.0, 1.0), "fontsize": 9, "frameon": False}
    grid = ax.get_subplotspec()
    # A legend that is wider would push the axes together.
    room = _SHARE_OF_AXES * ax.figure.bbox.width / (1 if grid is None else grid.get_gridspec().ncols)
    for count in range(_LEGEND_COLUMNS, 0, -1):
        legend = ax.legend(handles, labels, ncols=count, **look)
        if legend.get_window_extent().width <= room:
            return

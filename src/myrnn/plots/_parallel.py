"""All settings of many runs side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn.errors import InvalidArgument
from myrnn.plots import _style
from myrnn.plots._scales import Scale, word
from myrnn.plots._sweeps import outcomes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# The room for runs with the same value of a setting: of the way to its neighbour, and of the whole axis at most.
_APART, _WIDEST = 0.5, 0.24
# Viridis reaches a yellow that vanishes on white paper.
_BRIGHTEST = 0.88


def plot_parallel(
    settings: Mapping[str, Sequence[Any]], outcome: ArrayLike, *, outcome_name: str = "accuracy", ax: Axes | None = None
) -> Axes:
    """Draw every run as a line through the values of its settings to its outcome, which also gives its colour.

    Runs with the same value of a setting are drawn side by side there, the better ones above.

    Parameters
    ----------
    settings : mapping of str to sequence (R,)
        By name, the values of every setting: numbers, strings or None.
    outcome : array_like (R,)
        NaN leaves a run out.
    outcome_name : str
        The label of the last axis.
    ax : matplotlib Axes, optional
        Where to draw; without it, in a new figure.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InvalidArgument
        When there is no setting, the lists are not equally long, or no outcome is known.
    """
    if not settings:
        raise InvalidArgument("there is nothing to draw: settings is empty")
    y = outcomes(outcome, len(next(iter(settings.values()))))
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
    ax = _style.axes_for(ax, height=4.0)
    _draw_lines(ax, np.array([*heights, ranks]).T, ranks)
    _draw_scales(ax, scales, (low, high), outcome_name)
    return ax


def _draw_lines(ax: Axes, heights: NDArray[np.float64], ranks: NDArray[np.float64]) -> None:
    """Draw the runs, the best last."""
    from matplotlib import colormaps
    from matplotlib.collections import LineCollection

    across = np.arange(heights.shape[1])
    lines = [np.column_stack((across, row)) for row in heights]
    few = len(lines) <= 60
    ax.add_collection(
        LineCollection(
            lines,
            colors=colormaps["viridis"](_BRIGHTEST * ranks),
            linewidths=1.4 if few else 0.7,
            alpha=0.8 if few else 0.5,
            rasterized=len(lines) > 1000,
        )
    )


def _draw_scales(ax: Axes, scales: Mapping[str, Scale], ends: tuple[float, float], outcome_name: str) -> None:
    """Draw an upright axis for every setting and for the outcome, with its values."""
    ax.grid(False)
    ax.spines[:].set_visible(False)
    ax.set_yticks([])
    ax.set_xlim(-0.3, len(scales) + 0.45)
    ax.set_ylim(-_WIDEST / 2 - 0.02, 1 + _WIDEST / 2 + 0.02)
    ground = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 1}
    look: dict[str, Any] = {"va": "center", "fontsize": 8.5, "bbox": ground, "zorder": 4}
    for place, scale in enumerate(scales.values()):
        ax.axvline(place, color=_style.GREY, linewidth=1, zorder=3)
        ticks = scale.ticks(6)
        for value, height in zip(ticks, scale.shares(ticks), strict=True):
            ax.text(place, height, word(value), ha="center", **look)
    ax.axvline(len(scales), color=_style.GREY, linewidth=1, zorder=3)
    for value, share in _round_values(*ends):
        ax.plot([len(scales), len(scales) + 0.03], [share, share], color=_style.GREY, linewidth=1, zorder=3)
        ax.text(len(scales) + 0.05, share, f"{value:g}", ha="left", **look)
    ax.set_xticks(range(len(scales) + 1), labels=[*scales, outcome_name])
    ax.tick_params(axis="x", length=0)


def _round_values(low: float, high: float) -> list[tuple[float, float]]:
    """Return round numbers from the lowest to the highest outcome, and where they stand; of one outcome itself."""
    from matplotlib.ticker import MaxNLocator

    if high == low:
        return [(float(f"{low:.3g}"), 0.5)]
    ticks = MaxNLocator(6, steps=[1, 2, 5, 10]).tick_values(low, high)
    return [(float(f"{value:.6g}"), (value - low) / (high - low)) for value in ticks if low <= value <= high]


def _apart(shares: NDArray[np.float64], scale: Scale) -> NDArray[np.float64]:
    """Draw runs at the same place apart, by how good they are: they come in that order."""
    span = scale.high - scale.low
    room = min(_APART * scale.gap / span if span else 1.0, _WIDEST)
    moved = shares.copy()
    for share in np.unique(shares):
        mine = np.flatnonzero(shares == share)
        moved[mine] += np.linspace(-room / 2, room / 2, len(mine)) if len(mine) > 1 else 0.0
    return moved

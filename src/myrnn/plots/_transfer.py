"""The heat map of models and tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.plots import _style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# matplotlib is loaded only when something is drawn: importing it is most of our start-up time.

# Of one hue from light to dark: it needs no sight of colours.
_COLORS = "Blues"
# Shares of the way from chance to 1 above which text must be light.
_DARK = 0.68
_CELL_HEIGHT, _ROOM = 0.62, 1.35  # inches
# Characters that stand below all cells together, below one at least, and beside them.
_ROW, _SHORTEST_LINE, _SIDE = 52, 8, 24
_MOST_UPRIGHT = 5  # tasks whose names stand upright


def plot_transfer(
    models: Sequence[str],
    tasks: Sequence[str],
    accuracy: ArrayLike,
    interval: ArrayLike | None = None,
    *,
    chance: float = 0.0,
    ax: Axes | None = None,
) -> Axes:
    """Draw the accuracy of every model on every task as a heat map, with the numbers in it.

    Parameters
    ----------
    models : sequence of M str
        The names of the rows.
    tasks : sequence of T str
        The names of the columns.
    accuracy : array_like (M, T)
        Shares from 0 to 1; NaN where a model cannot read a task, which is hatched and says "n/a".
    interval : array_like (M, T, 2), optional
        The ends of each accuracy's interval, written below it.
    chance : float
        Where the colours begin, below 1; what is less has the same colour.
    ax : matplotlib Axes, optional
        Where to draw; without it, in a new figure.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InvalidArgument
        When the shapes do not fit together.
    """
    shares = _checked("accuracy", accuracy, (len(models), len(tasks)))
    ends = np.empty((*shares.shape, 0)) if interval is None else _checked("interval", interval, (*shares.shape, 2))
    lowest = _checks.real("chance", chance, minimum=0.0, below=1)
    ax = _style.axes_for(ax, height=_ROOM + _CELL_HEIGHT * len(models))
    ax.grid(False)
    ax.spines[:].set_visible(False)
    image = ax.imshow(np.ma.masked_invalid(shares), cmap=_COLORS, vmin=lowest, vmax=1.0, aspect="auto")
    for row, column in np.ndindex(*shares.shape):
        place, share = (column, row), float(shares[row, column])
        if np.isnan(share):
            _hatch_cell(ax, place)
        else:
            _write_cell(ax, place, share, ends[row, column], lowest)
    _name_sides(ax, models, tasks)
    _add_scale(ax, image)
    return ax


def _write_cell(ax: Axes, place: tuple[int, int], share: float, ends: NDArray[np.float64], lowest: float) -> None:
    """Write a share, and its interval below it; `ends` is empty where there is none."""
    column, row = place
    text: dict[str, Any] = {"ha": "center", "color": "white" if share > lowest + _DARK * (1 - lowest) else "black"}
    has_ends = ends.size > 0
    ax.text(column, row, f"{100 * share:.1f}", va="bottom" if has_ends else "center", fontsize=11, **text)
    if has_ends:
        told = f"{100 * ends[0]:.1f}-{100 * ends[1]:.1f}"
        ax.text(column, row + 0.08, told, va="top", fontsize=7.5, **text)


def _hatch_cell(ax: Axes, place: tuple[int, int]) -> None:
    """Show that there is no number."""
    from matplotlib.patches import Rectangle

    look: dict[str, Any] = {"facecolor": "white", "edgecolor": _style.LIGHT_GREY, "hatch": "///", "linewidth": 0}
    ax.add_patch(Rectangle((place[0] - 0.5, place[1] - 0.5), 1, 1, **look))
    ground = {"facecolor": "white", "edgecolor": "none", "pad": 2}
    ax.text(*place, "n/a", ha="center", va="center", fontsize=10, color=_style.GREY, bbox=ground)


def _name_sides(ax: Axes, models: Sequence[str], tasks: Sequence[str]) -> None:
    from textwrap import fill

    models, tasks = ([_style.word_of(name) for name in names] for names in (models, tasks))
    below = [fill(name, max(_ROW // len(tasks), _SHORTEST_LINE), break_long_words=False) for name in tasks]
    many = len(tasks) > _MOST_UPRIGHT
    turned: dict[str, Any] = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"} if many else {}
    ax.set_xticks(range(len(tasks)), labels=tasks if many else below, **turned)
    ax.set_yticks(range(len(models)), labels=[fill(name, _SIDE) for name in models])
    ax.tick_params(length=0, labelsize=9)
    ax.tick_params(axis="x", labelsize=9 if len(tasks) < _MOST_UPRIGHT else 8)
    ax.set_xlabel("tried on")
    ax.set_ylabel("model")
    # White lines between the cells.
    ax.set_xticks(np.arange(len(tasks) + 1) - 0.5, minor=True)
    ax.set_yticks(np.arange(len(models) + 1) - 0.5, minor=True)
    ax.grid(True, which="minor", color="white", linewidth=2)
    ax.tick_params(which="minor", length=0)


def _add_scale(ax: Axes, image: Any) -> None:
    scale = ax.figure.colorbar(image, ax=ax, pad=0.02, fraction=0.05, format=lambda share, _: f"{100 * share:.0f}")
    scale.set_label("accuracy, %", fontsize=10)
    scale.ax.tick_params(labelsize=9, length=0)
    scale.outline.set_visible(False)


def _checked(name: str, given: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.float64]:
    values = _checks.array(name, given)
    if values.shape != shape or not values.size or values.dtype.kind not in "fiu":
        raise InvalidArgument(f"{name} must be numbers of shape {shape}, not {values.dtype} of shape {values.shape}")
    return values.astype(np.float64)

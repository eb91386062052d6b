"""The grid of a live plot's panels, its size and its colours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.plots import _style
from myrnn.plots._panel import MetricPanel

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Colors = dict[str, dict[str, Any]]  # metric to split to colour
DEFAULT_COLORS = {"train": _style.BLUE, "test": _style.VERMILLION}
_LEFT, _RIGHT, _TOP, _BOTTOM, _BETWEEN_ROWS, _BETWEEN_COLUMNS = 0.65, 0.35, 0.4, 0.55, 0.45, 0.7  # inches


def checked_grid(panels: int, nrows: int | None, ncols: int) -> tuple[int, int]:
    """Return rows and columns with room for all panels; as in noggin, rows are added where they do not fit."""
    columns = _checks.integer("ncols", ncols, minimum=1)
    rows = 1 if nrows is None else _checks.integer("nrows", nrows, minimum=1)
    return max(rows, -(-panels // columns)), columns


def checked_size(figsize: Any, grid: tuple[int, int]) -> tuple[float, float]:
    """Return width and height in inches, by default made for the grid."""
    rows, columns = grid
    if figsize is None:
        return _style.WIDTH if columns == 1 else 4.2 * columns, 0.5 + 2.05 * rows
    try:
        width, height = figsize
    except (TypeError, ValueError):
        raise InvalidArgument(f"figsize must be a width and a height in inches, not {figsize!r}") from None
    size = _checks.real("figsize's width", width, above=0), _checks.real("figsize's height", height, above=0)
    smallest = _margins(grid)
    if size[0] <= smallest[0] or size[1] <= smallest[1]:
        raise InvalidArgument(
            f"figsize must be more than {smallest[0]:.2f} by {smallest[1]:.2f} inches for {rows} by {columns} panels, "
            f"not {size[0]:g} by {size[1]:g}"
        )
    return size


def checked_colors(metrics: Any) -> Colors:
    """Return the colours that were given, None where there is none."""
    if not isinstance(metrics, Mapping):
        return {}
    from matplotlib.colors import is_color_like  # late: importing matplotlib is most of our start-up time

    colors = {}
    for name, value in metrics.items():
        given = dict(value) if isinstance(value, Mapping) else {"train": value}
        for split, color in given.items():
            _checks.one_of(f"the split of {name!r}'s colour", split, tuple(DEFAULT_COLORS))
            if color is not None and not is_color_like(color):
                raise InvalidArgument(f"the colour of {name!r} must be one of matplotlib's, not {color!r}")
        colors[name] = {split: given.get(split) for split in DEFAULT_COLORS}
    return colors


def lay_out(
    figure: Figure, names: tuple[str, ...], grid: tuple[int, int], colors: Colors
) -> tuple[Any, list[MetricPanel]]:
    """Put a panel for each name into the figure.

    Returns
    -------
    axes : Axes, or ndarray of Axes
        As ``pyplot.subplots`` gives them; unused places are taken out of the figure.
    panels : list of MetricPanel
    """
    rows, columns = grid
    axes = figure.subplots(rows, columns, sharex=True, squeeze=False)
    _set_margins(figure, grid)
    panels = []
    for i, ax in enumerate(axes.flat):
        if i >= len(names):
            ax.remove()
            continue
        given = colors.get(names[i], {})
        chosen = {split: given.get(split) or default for split, default in DEFAULT_COLORS.items()}
        panels.append(MetricPanel(ax, names[i], chosen))
        if i + columns >= len(names):
            ax.tick_params(labelbottom=True)
            _style.count_iterations(ax)
    flat = np.squeeze(axes)
    return flat.item() if flat.size == 1 else flat, panels


def _margins(grid: tuple[int, int]) -> tuple[float, float]:
    rows, columns = grid
    return _LEFT + _RIGHT + _BETWEEN_COLUMNS * (columns - 1), _TOP + _BOTTOM + _BETWEEN_ROWS * (rows - 1)


def _set_margins(figure: Figure, grid: tuple[int, int]) -> None:
    """Fix the margins in inches: nothing moves while training runs, and drawing is twice as fast as when fitted."""
    (rows, columns), (width, height) = grid, figure.get_size_inches()
    across, down = _margins(grid)
    figure.subplots_adjust(
        left=_LEFT / width,
        right=1 - _RIGHT / width,
        bottom=_BOTTOM / height,
        top=1 - _TOP / height,
        hspace=_BETWEEN_ROWS * rows / (height - down),
        wspace=_BETWEEN_COLUMNS * columns / (width - across),
    )

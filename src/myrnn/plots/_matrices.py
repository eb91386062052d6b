"""The figures of weight matrices and their eigenvalues."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.plots import _style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Eigenvalues = Mapping[str, ArrayLike]

TRAINED = ("before training", "after training")

# A matrix that is longer than this times its width is stretched, or its cells would be slivers.
_MOST_ELONGATED = 4


def plot_matrix(values: ArrayLike, *, title: str = "", ax: Axes | None = None) -> Axes:
    """Draw a weight matrix as a heat map: zero is white, positive red, negative blue.

    Parameters
    ----------
    values : array_like (R, C)
        A layer computes ``x @ values``: rows are what comes in, columns what goes out.
    title : str
    ax : matplotlib Axes, optional
        Where to draw; without it, in a new figure.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InvalidArgument
        When `values` is no matrix of finite numbers.
    """
    from matplotlib.ticker import MaxNLocator

    numbers = matrix("values", values)
    rows, columns = numbers.shape
    ax = _style.axes_for(ax, height=4.2)
    aspect: Literal["equal", "auto"] = "equal" if max(rows, columns) <= _MOST_ELONGATED * min(rows, columns) else "auto"
    limit = float(np.abs(numbers).max()) or 1.0
    image = ax.imshow(numbers, aspect=aspect, interpolation="nearest", cmap="RdBu_r", vmin=-limit, vmax=limit)
    ax.grid(False)
    # Beside the cells, as high as they are, whatever shape the matrix has.
    bar = ax.figure.colorbar(image, cax=ax.inset_axes((1.04, 0.0, 0.05, 1.0)))
    bar.ax.tick_params(labelsize=8)
    bar.ax.yaxis.set_major_locator(MaxNLocator(4))
    # A layer computes x @ W.
    ax.set_xlabel("to (column)", fontsize=8)
    ax.set_ylabel("from (row)", fontsize=8)
    for axis, count in ((ax.xaxis, columns), (ax.yaxis, rows)):
        # Columns and rows are counted from 0, as in NumPy; a scale of a few whole numbers is enough.
        axis.set_ticks(range(0, count, max(1, -(-count // 6))))
    ax.tick_params(labelsize=8)
    ax.set_title(title, fontsize=10)
    return ax


def plot_matrices(matrices: Mapping[str, ArrayLike], *, axes: Any = None) -> Any:
    """Draw several weight matrices side by side, each as `plot_matrix` does.

    Parameters
    ----------
    matrices : mapping of str to array_like (R, C)
        By the title.
    axes : matplotlib Axes or array of them, optional
        One for each matrix; without them, in a new figure of up to three columns.

    Returns
    -------
    ndarray of matplotlib Axes

    Raises
    ------
    InvalidArgument
        When there is no matrix, one is none, or the axes are not one for each.
    """
    checked = {title: matrix(f"the matrix {title}", values) for title, values in matrices.items()}
    if not checked:
        raise InvalidArgument("matrices must hold at least one matrix")
    grid = panels(len(checked), axes)
    for ax, (title, values) in zip(grid, checked.items(), strict=True):
        plot_matrix(values, title=title, ax=ax)
    return grid


def plot_eigenvalues(
    values: Eigenvalues,
    *,
    before: Eigenvalues | None = None,
    labels: tuple[str, str] = TRAINED,
    ax: Axes | None = None,
) -> Axes:
    """Draw the eigenvalues of recurrent matrices and the unit circle.

    Inside the circle a matrix shrinks what it is applied to again and again, outside it makes it grow.

    Parameters
    ----------
    values : mapping of str to array_like of complex (D,)
        By the name of the matrix.
    before : mapping of the same kind, optional
        Those before training, drawn hollow and grey; matrices that are not in `values` are left out.
    labels : two str
        What `before` and `values` are called in the legend.
    ax : matplotlib Axes, optional
        Where to draw; without it, in a new figure.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InvalidArgument
        When there is no matrix, or its eigenvalues are not finite numbers.
    """
    from matplotlib.patches import Circle

    found = {name: _complex(name, given) for name, given in values.items()}
    if not found:
        raise InvalidArgument("values must hold the eigenvalues of at least one matrix")
    earlier = {name: _complex(name, given) for name, given in (before or {}).items() if name in found}
    ax = _style.axes_for(ax, height=4.4)
    ax.add_patch(Circle((0, 0), 1, fill=False, color=_style.GREY, linestyle="--", linewidth=1.2, zorder=1))
    for place, numbers in enumerate(earlier.values()):
        hollow: dict[str, Any] = {"facecolors": "none", "edgecolors": _style.GREY, "linewidths": 0.8, "zorder": 2}
        ax.scatter(numbers.real, numbers.imag, 18, label=labels[0] if not place else None, **hollow)
    for place, (name, numbers) in enumerate(found.items()):
        marker = _style.MARKERS[place % len(_style.MARKERS)]
        color = _style.PALETTE[place % len(_style.PALETTE)]
        label = labels[1] if earlier and len(found) == 1 else name
        ax.scatter(numbers.real, numbers.imag, 18, color=color, marker=marker, label=label, alpha=0.85, zorder=3)
    _square(ax, [*found.values(), *earlier.values()])
    ax.set_xlabel("real part")
    ax.set_ylabel("imaginary part")
    if len(found) > 1 or earlier:
        _legend_above(ax, title="" if len(found) > 1 else next(iter(found)))
    else:
        ax.set_title(next(iter(found)), fontsize=10)
    return ax


def plot_eigenvalues_each(
    values: Eigenvalues,
    *,
    before: Eigenvalues | None = None,
    labels: tuple[str, str] = TRAINED,
    axes: Any = None,
) -> Any:
    """Draw the eigenvalues of several matrices, each as `plot_eigenvalues` does.

    Parameters
    ----------
    values, before, labels
        As for `plot_eigenvalues`.
    axes : matplotlib Axes or array of them, optional
        One for each matrix; without them, in a new figure of up to three columns.

    Returns
    -------
    ndarray of matplotlib Axes

    Raises
    ------
    InvalidArgument
        When there is no matrix, its eigenvalues are not finite numbers, or the axes are not one for each.
    """
    if not values:
        raise InvalidArgument("values must hold the eigenvalues of at least one matrix")
    grid = panels(len(values), axes, row_height=2.6)
    for number, (ax, name) in enumerate(zip(grid, values, strict=True)):
        plot_eigenvalues({name: values[name]}, before=before, labels=labels, ax=ax)
        ax.set_title(name, fontsize=10)
        legend = ax.get_legend()
        if legend is not None:
            legend.remove()
        if axes is None and number % (2 if len(grid) in (2, 4) else 3):
            ax.set_ylabel("")
    entries = grid[0].get_legend_handles_labels()
    if len(entries[1]) > 1 and axes is None:
        grid[0].figure.legend(*entries, loc="outside lower center", ncols=2, fontsize=9, frameon=False)
    elif len(entries[1]) > 1:
        grid[0].legend(*entries, loc="best", fontsize=8, framealpha=0.9, edgecolor="none")
    return grid


def panels(count: int, axes: Any = None, row_height: float = 2.2) -> NDArray[Any]:
    """Return `axes`, which must be `count`, as a flat array; without them, those of a new figure of three columns."""
    if axes is not None:
        given = np.ravel(np.array(axes, dtype=object))
        if len(given) != count:
            raise InvalidArgument(f"axes must be one for each of the {count} matrices, not {len(given)}")
        return given
    columns = 2 if count in (2, 4) else min(count, 3)
    rows = -(-count // columns)
    height = 4.2 if columns == 1 else 0.3 + row_height * 3 / columns * rows
    figure = _style.new_axes(1, height=height)[0].figure
    figure.clear()
    grid = np.ravel(figure.subplots(rows, columns, squeeze=False))
    for ax in grid[:count]:
        _style.style_axes(ax)
    for ax in grid[count:]:
        ax.remove()
    return grid[:count]


def matrix(name: str, given: ArrayLike) -> NDArray[np.float64]:
    """Return a matrix of finite numbers with at least one row and column, float64."""
    values = _checks.array(name, given)
    if values.ndim != 2 or not values.size or values.dtype.kind not in "bfiu":
        raise InvalidArgument(
            f"{name} must be a matrix of numbers with at least one row, not {values.dtype} of shape {values.shape}"
        )
    _checks.finite(name, values)
    return values.astype(np.float64)


def log_axis(ax: Axes) -> None:
    """Make the vertical axis logarithmic, and write plain numbers where it spans few decades."""
    from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

    ax.set_yscale("log")
    low, high = ax.get_ylim()
    if 0 < low < high < 50 * low:
        ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        ax.yaxis.set_minor_locator(NullLocator())


def shades(values: NDArray[np.float64]) -> dict[str, Any]:
    """Return the colours of a heat map: white is zero, where there are two signs from blue to red, else one hue."""
    limit = float(np.abs(values).max()) or 1.0
    if values.min() >= 0:
        return {"cmap": "Blues", "vmin": 0.0, "vmax": limit}
    return {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}


def _complex(name: str, given: ArrayLike) -> NDArray[np.complex128]:
    numbers = _checks.array(f"the eigenvalues of {name}", given)
    if numbers.ndim != 1 or not numbers.size or numbers.dtype.kind not in "fciu":
        raise InvalidArgument(f"the eigenvalues of {name} must be a list of numbers, not of shape {numbers.shape}")
    _checks.finite(f"the eigenvalues of {name}", numbers)
    return numbers.astype(np.complex128)


def _legend_above(ax: Axes, title: str) -> None:
    # Eigenvalues lie on all sides, so there is no corner that is surely free.
    look: dict[str, Any] = {"frameon": False, "borderaxespad": 0.2, "handletextpad": 0.2, "columnspacing": 1.0}
    if title:
        look |= {"title": title, "title_fontsize": 10}
    ax.legend(fontsize=9, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, **look)


def _square(ax: Axes, all_numbers: list[NDArray[np.complex128]]) -> None:
    """Show the whole circle and every eigenvalue around it, one unit as long across as up."""
    reach = 1.1 * max(1.0, *(float(np.abs(numbers).max()) for numbers in all_numbers))
    ax.set_xlim(-reach, reach)
    ax.set_ylim(-reach, reach)
    ax.set_aspect("equal")

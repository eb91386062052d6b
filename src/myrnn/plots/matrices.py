"""Figures of weight matrices and of the eigenvalues of recurrent ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.inspection import RecurrentEigenvalues
from myrnn.plots import style
from myrnn.results import draws

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TRAINED = ("before training", "after training")

# A matrix longer than this times its width is stretched, or its cells would be slivers.
_MOST_ELONGATED = 4
# The most characters of a title of one of three panels side by side.
_LONGEST_TITLE = 24


def plot_matrix(values: ArrayLike, *, title: str = "", ax: Axes | None = None) -> Axes:
    """Draw a weight matrix as a heat map: zero is white, positive red, negative blue.

    Parameters
    ----------
    values : array_like (R, C)
        A layer computes ``x @ values``: rows are inputs, columns outputs.
    title : str
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InvalidArgument
        When `values` is not a matrix of finite numbers.

    Examples
    --------
    >>> ax = plot_matrix([[1.0, -0.5], [0.0, 2.0]], title="weights")
    >>> ax.get_title(), ax.get_xlabel(), ax.get_ylabel()
    ('weights', 'to (column)', 'from (row)')
    """
    from matplotlib.ticker import MaxNLocator

    numbers = _matrix("values", values)
    rows, columns = numbers.shape
    ax = style.axes_for(ax, height=4.2)
    aspect: Literal["equal", "auto"] = "equal" if max(rows, columns) <= _MOST_ELONGATED * min(rows, columns) else "auto"
    limit = float(np.abs(numbers).max()) or 1.0
    image = ax.imshow(numbers, aspect=aspect, interpolation="nearest", cmap="RdBu_r", vmin=-limit, vmax=limit)
    ax.grid(False)
    # To the right of the cells, with their height, whatever the shape of the matrix.
    bar = ax.figure.colorbar(image, cax=ax.inset_axes((1.04, 0.0, 0.05, 1.0)))
    bar.ax.tick_params(labelsize=8)
    bar.ax.yaxis.set_major_locator(MaxNLocator(4))
    ax.set_xlabel("to (column)", fontsize=8)
    ax.set_ylabel("from (row)", fontsize=8)
    for axis, count in ((ax.xaxis, columns), (ax.yaxis, rows)):
        # Columns and rows are counted from 0, as in NumPy; a few whole numbers are enough.
        axis.set_ticks(range(0, count, max(1, -(-count // 6))))
    ax.tick_params(labelsize=8)
    ax.set_title(title, fontsize=10)
    return ax


def plot_matrices(matrices: Mapping[str, ArrayLike], *, axes: Any = None) -> Any:
    """Draw several weight matrices side by side, each as `plot_matrix` does.

    Parameters
    ----------
    matrices : mapping of str to array_like (R, C)
        The matrices by title.
    axes : matplotlib Axes or array of them, optional
        One for each matrix; by default those of a new figure.

    Returns
    -------
    ndarray of matplotlib Axes

    Raises
    ------
    InvalidArgument
        When there are no matrices, one is not valid, or there is not one axis for each.

    Examples
    --------
    >>> from myrnn import RNN
    >>> model = RNN(dim_input=10, dim_recurrent=8, dim_output=2, rng=0)
    >>> axes = plot_matrices({"input": model.fc_x2h.weight.data, "recurrent": model.fc_h2h.weight.data})
    >>> [ax.get_title() for ax in axes]
    ['input', 'recurrent']
    """
    checked = {title: _matrix(f"the matrix {title}", values) for title, values in matrices.items()}
    if not checked:
        raise InvalidArgument("matrices must hold at least one matrix")
    grid = _panels(len(checked), axes, row_height=2.2)
    for ax, (title, values) in zip(grid, checked.items(), strict=True):
        plot_matrix(values, title=style.word_of(title, _LONGEST_TITLE), ax=ax)
    return grid


@draws(RecurrentEigenvalues)
def plot_eigenvalues(
    eigenvalues: RecurrentEigenvalues,
    *,
    matrix: str | None = None,
    before: RecurrentEigenvalues | None = None,
    labels: tuple[str, str] = TRAINED,
    ax: Axes | None = None,
) -> Axes:
    """Draw the eigenvalues of recurrent matrices and the unit circle.

    Repeated application of a matrix shrinks vectors along eigenvalues inside the circle, and grows them outside.

    Parameters
    ----------
    eigenvalues : RecurrentEigenvalues
    matrix : str, optional
        The name of the matrix; by default all of them.
    before : RecurrentEigenvalues, optional
        The eigenvalues before training, drawn as open grey circles.
    labels : two str
        The legend entries of `before` and `eigenvalues`.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InvalidArgument
        When there is no such matrix, or `before` is not a `RecurrentEigenvalues`.

    Examples
    --------
    >>> from myrnn import RNN, recurrent_eigenvalues
    >>> before, after = (recurrent_eigenvalues(RNN(10, 8, 2, rng=seed)) for seed in (0, 1))
    >>> ax = plot_eigenvalues(after, before=before)
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['before training', 'after training']
    """
    from matplotlib.patches import Circle

    if before is not None and not isinstance(before, RecurrentEigenvalues):
        raise InvalidArgument(
            f"before must be the result of recurrent_eigenvalues before training, not {type(before).__name__}"
        )
    found = eigenvalues.values
    if matrix is not None:
        found = {matrix: found[_checks.one_of("matrix", matrix, tuple(found))]}
    earlier = {} if before is None else {name: values for name, values in before.values.items() if name in found}
    ax = style.axes_for(ax, height=4.4)
    ax.add_patch(Circle((0, 0), 1, fill=False, **style.LEVEL))
    for place, numbers in enumerate(earlier.values()):
        hollow: dict[str, Any] = {"facecolors": "none", "edgecolors": style.GREY, "linewidths": 0.8, "zorder": 2}
        ax.scatter(numbers.real, numbers.imag, 18, label=labels[0] if not place else None, **hollow)
    for place, (name, numbers) in enumerate(found.items()):
        look = style.series(place)
        label = labels[1] if earlier and len(found) == 1 else name
        marks: dict[str, Any] = {"color": look["color"], "marker": look["marker"], "alpha": 0.85, "zorder": 3}
        ax.scatter(numbers.real, numbers.imag, 18, label=label, **marks)
    # The whole circle and every eigenvalue, with equal scales.
    reach = 1.1 * max(1.0, *(float(np.abs(numbers).max()) for numbers in (*found.values(), *earlier.values())))
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    ax.set_xlabel("real part")
    ax.set_ylabel("imaginary part")
    if len(found) > 1 or earlier:
        # Eigenvalues lie on all sides, so no corner is certainly free.
        look = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0), "ncols": 2, "frameon": False}
        look |= {"borderaxespad": 0.2, "handletextpad": 0.2, "columnspacing": 1.0}
        look |= {"title": next(iter(found)), "title_fontsize": 10} if len(found) == 1 else {}
        style.add_legend(ax, **look)
    else:
        ax.set_title(next(iter(found)), fontsize=10)
    return ax


@draws(RecurrentEigenvalues)
def plot_eigenvalues_each(
    eigenvalues: RecurrentEigenvalues,
    *,
    before: RecurrentEigenvalues | None = None,
    labels: tuple[str, str] = TRAINED,
    axes: Any = None,
) -> Any:
    """Draw the eigenvalues of several matrices, each as `plot_eigenvalues` does.

    Parameters
    ----------
    eigenvalues, before, labels
        As for `plot_eigenvalues`.
    axes : matplotlib Axes or array of them, optional
        One for each matrix; by default those of a new figure.

    Returns
    -------
    ndarray of matplotlib Axes

    Raises
    ------
    InvalidArgument
        When there is not one axis for each matrix, or `before` is not a `RecurrentEigenvalues`.

    Examples
    --------
    >>> from myrnn import GRU, recurrent_eigenvalues
    >>> before, after = (recurrent_eigenvalues(GRU(10, 8, 2, rng=seed)) for seed in (0, 1))
    >>> axes = plot_eigenvalues_each(after, before=before)
    >>> [ax.get_title() for ax in axes]
    ['fc_h2z.weight', 'fc_h2r.weight', 'fc_h2n.weight']
    """
    names = tuple(eigenvalues.values)
    grid = _panels(len(names), axes, row_height=2.6)
    for number, (ax, name) in enumerate(zip(grid, names, strict=True)):
        plot_eigenvalues(eigenvalues, matrix=name, before=before, labels=labels, ax=ax)
        ax.set_title(style.word_of(name, _LONGEST_TITLE), fontsize=10)
        legend = ax.get_legend()
        if legend is not None:
            legend.remove()
        if axes is None and number % _columns(len(grid)):
            ax.set_ylabel("")
    handles, texts = grid[0].get_legend_handles_labels()
    if len(texts) > 1 and axes is None:
        grid[0].figure.legend(handles, texts, loc="outside lower center", ncols=2, fontsize=9, frameon=False)
    elif len(texts) > 1:
        style.add_legend(grid[0], fontsize=8)
    return grid


def _panels(count: int, axes: Any, row_height: float) -> NDArray[Any]:
    """Return `count` axes: the given ones, or those of a new figure of up to three columns."""
    columns = _columns(count)
    height = 4.2 if columns == 1 else 0.3 + row_height * 3 / columns * -(-count // columns)
    return style.axes_for_each(count, axes, f"one for each of the {count} matrices", height, columns)


def _columns(count: int) -> int:
    return 2 if count in (2, 4) else min(count, 3)


def _matrix(name: str, given: ArrayLike) -> NDArray[np.float64]:
    """Return a matrix of finite numbers with at least one row and column, float64."""
    values = _checks.array(name, given)
    if values.ndim != 2 or not values.size or values.dtype.kind not in "bfiu":
        raise InvalidArgument(
            f"{name} must be a matrix of numbers with at least one row, not {values.dtype} of shape {values.shape}"
        )
    _checks.finite(name, values)
    return values.astype(np.float64)

"""The figures of what happens inside over many sequences: the flow of gradients, the space of states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.plots import _style
from myrnn.plots._accuracy import put_legend_above
from myrnn.plots._matrices import log_axis, matrix

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# One mark a class: more classes than colours are drawn as a scale. Symbols are drawn as themselves.
_MOST_CLASSES, _MOST_SYMBOLS = len(_style.PALETTE), 16
# A sign's share of the width and of the height of the axes.
_SIGN = np.array((0.022, 0.045))
# An SVG file of more points than this is slow to open: they become a picture inside it.
_MOST_VECTORS = 2000


def plot_gradient_flow(
    distance: ArrayLike,
    curves: Mapping[str, tuple[ArrayLike, ArrayLike, ArrayLike]],
    *,
    label: str | None = None,
    relative: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """Draw the size of the gradient against the distance from the end, on a log axis.

    Call it again with the same `ax` and another `label` to compare models.

    Parameters
    ----------
    distance : array_like of int (L,)
        Steps between a state and the last one.
    curves : mapping of str to three array_like (L,)
        By the name of the state: a mean, and the 10 % and 90 % quantiles. What is zero or NaN leaves a gap.
    label : str, optional
        The name of the model in the legend.
    relative : bool
        Whether the norms are shares of the last state's.
    ax : matplotlib Axes, optional
        Where to draw; without it, in a new figure.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InvalidArgument
        When there is no curve or its arrays are not of the length of `distance`.
    """
    x = _checks.array("distance", distance)
    drawn = {name: _triple(name, arrays, x) for name, arrays in curves.items()}
    if not drawn:
        raise InvalidArgument("curves must hold at least one curve")
    ax = _style.axes_for(ax, height=3.6)
    for name, (mean, low, high) in drawn.items():
        place = len([line for line in ax.get_lines() if line.get_gid() == "flow"])
        color, marker = _style.PALETTE[place % len(_style.PALETTE)], _style.MARKERS[place % len(_style.MARKERS)]
        text = name if label is None else f"{label}, {name}" if len(drawn) > 1 else label
        ax.fill_between(x, low, high, color=color, alpha=0.18, linewidth=0, gid="flow")
        ax.plot(x, mean, color=color, marker=marker, markersize=4, linewidth=1.6, label=text, gid="flow")
    log_axis(ax)
    ax.set_xlabel("steps from the end of the sequence")
    ax.set_ylabel("norm of the loss's gradient" + (",\nas a share of the last state's" if relative else ""))
    _count_steps(ax)
    _flow_legend(ax)
    return ax


def plot_state_space(
    coordinates: ArrayLike,
    groups: ArrayLike,
    *,
    color: str = "step",
    names: Sequence[str] | None = None,
    explained: tuple[float, float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw states as points in two principal components.

    Parameters
    ----------
    coordinates : array_like (P, 2)
    groups : array_like of int (P,)
        The step, class or symbol of each point.
    color : {"step", "class", "symbol"}
        What `groups` are: steps are drawn on a scale, classes in colours of their own, symbols as themselves.
    names : sequence of str, optional
        The names of the classes.
    explained : two floats, optional
        The share of the variance along each axis.
    ax : matplotlib Axes, optional
        Where to draw; without it, in a new figure.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InvalidArgument
        When there are not two finite coordinates and one integer for every point, or `color` is another word.
    """
    _checks.one_of("color", color, ("step", "class", "symbol"))
    points = matrix("coordinates", coordinates)
    if points.shape[1] != 2:
        raise InvalidArgument(f"coordinates must have two columns, not {points.shape[1]}")
    kinds = _checks.integers("groups", groups, minimum=0, maximum=2**31 - 1)
    if len(kinds) != len(points):
        raise InvalidArgument(f"groups must be one for each of the {len(points)} points, not {len(kinds)}")
    ax = _style.axes_for(ax, height=4.4)
    few = {"step": 0, "class": _MOST_CLASSES, "symbol": _MOST_SYMBOLS}[color]
    if len(np.unique(kinds)) > few:
        _scatter_on_scale(ax, points, kinds, color)
    elif color == "class":
        _scatter_classes(ax, points, kinds, names)
    else:
        _scatter_symbols(ax, points, kinds)
    for number, axis in enumerate((ax.xaxis, ax.yaxis)):
        share = "" if explained is None else f" ({explained[number]:.0%} of the variance)"
        axis.set_label_text(f"principal component {number + 1}{share}")
    return ax


def _scatter_on_scale(ax: Axes, points: NDArray[np.float64], kinds: NDArray[Any], name: str) -> None:
    from matplotlib.ticker import MaxNLocator

    # Viridis reaches a yellow that vanishes on white paper, so the scale goes a little further than the data.
    low, high = int(kinds.min()), int(kinds.max())
    top = high + 0.12 * max(high - low, 1)
    marks = ax.scatter(points[:, 0], points[:, 1], c=kinds, vmin=low, vmax=top, cmap="viridis", **_dots(points))
    bar = ax.figure.colorbar(marks, ax=ax, pad=0.02)
    bar.ax.set_ylim(low, high if high > low else top)
    bar.ax.yaxis.set_major_locator(MaxNLocator(8, integer=True))
    bar.set_label(name, fontsize=10)
    bar.solids.set(alpha=1)  # type: ignore[union-attr]


def _scatter_classes(ax: Axes, points: NDArray[np.float64], kinds: NDArray[Any], names: Sequence[str] | None) -> None:
    present = np.unique(kinds).tolist()
    colors = {kind: _style.PALETTE[place] for place, kind in enumerate(present)}
    # In the order of the points, so that no class lies on top of the others.
    ax.scatter(points[:, 0], points[:, 1], c=[colors[kind] for kind in kinds.tolist()], **_dots(points))
    for kind in present:
        text = names[kind] if names is not None and kind < len(names) else f"class {kind}"
        ax.scatter([], [], 30, color=colors[kind], label=text)
    ax.legend(loc="best", fontsize=9, framealpha=0.9, edgecolor="none")


def _scatter_symbols(ax: Axes, points: NDArray[np.float64], kinds: NDArray[Any]) -> None:
    from matplotlib import colormaps

    present = np.unique(kinds).tolist()
    apart = _far_apart(points)
    for place, kind in enumerate(present):
        color = colormaps["viridis"](0.88 * place / max(len(present) - 1, 1))
        for chosen, look in (
            (points[(kinds == kind) & apart], {"marker": f"${kind}$", "s": 40, "zorder": 3}),
            (points[(kinds == kind) & ~apart], {"s": 9, "alpha": 0.45}),
        ):
            ax.scatter(chosen[:, 0], chosen[:, 1], color=[color], **{**_dots(points), **look})
        ax.scatter([], [], 40, color=[color], marker=f"${kind}$", label=f"{kind}")
    ax.set_title("the symbol that was read last; a dot where there is no room for it", fontsize=10)
    handles, _ = ax.get_legend_handles_labels()
    beside: dict[str, Any] = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5), "frameon": False, "handletextpad": 0}
    ax.legend(handles, [""] * len(handles), **beside)


def _far_apart(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which of the points have room for a sign of a letter's size, bool (P,): none covers another, in turn."""
    span = np.ptp(points, axis=0)
    places = (points - points.min(axis=0)) / np.where(span > 0, span, 1) / _SIGN
    kept: list[NDArray[np.float64]] = []
    apart = np.zeros(len(points), dtype=np.bool_)
    for number, place in enumerate(places):
        if not kept or (np.abs(np.array(kept) - place) >= 1).any(axis=1).all():
            kept.append(place)
            apart[number] = True
    return apart


def _dots(points: NDArray[np.float64]) -> dict[str, Any]:
    many = len(points) > 600
    return {
        "s": 9 if many else 18,
        "alpha": 0.65 if many else 0.85,
        "linewidths": 0,
        "rasterized": len(points) > _MOST_VECTORS,
    }


def _flow_legend(ax: Axes) -> None:
    from matplotlib.patches import Patch

    # Curves and bands may lie anywhere in the axes.
    handles, labels = ax.get_legend_handles_labels()
    band = Patch(facecolor=_style.GREY, alpha=0.3)
    put_legend_above(ax, [*zip(handles, labels, strict=True), (band, "the middle 80 % of sequences")])


def _count_steps(ax: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(10, integer=True))
    ax.margins(x=0.02)


def _triple(name: str, arrays: Any, x: NDArray[Any]) -> list[NDArray[np.float64]]:
    columns = [_checks.array(f"curves[{name!r}]", one) for one in arrays]
    if x.ndim != 1 or len(columns) != 3 or any(column.shape != x.shape for column in columns):
        shapes = ", ".join(str(column.shape) for column in columns)
        raise InvalidArgument(
            f"curves[{name!r}] must be three lists of the {x.size} distances' length, not of shape {shapes}"
        )
    return [np.where(column > 0, column, np.nan).astype(np.float64) for column in columns]

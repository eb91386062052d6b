"""The figures of one sequence on its way through a model: states, probabilities and gradients, step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.plots import _style
from myrnn.plots._matrices import log_axis, matrix, shades

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ORDERS = ("similarity", "peak", "none")
# Above this many units the best of all trees' orders takes too long to find.
_MOST_ORDERED = 400
_MOST_SYMBOLS, _MOST_LINES = 60, len(_style.PALETTE)
_CHANCE_STYLE: dict[str, Any] = {"color": _style.GREY, "linestyle": "--", "linewidth": 1.2, "zorder": 1}


def plot_states(
    states: ArrayLike,
    *,
    symbols: Sequence[Any] | None = None,
    name: str = "h",
    order: str = "similarity",
    ax: Axes | None = None,
) -> Axes:
    """Draw a state after every step as a heat map under the symbols that were read.

    Parameters
    ----------
    states : array_like (T, D)
        One row a step.
    symbols : sequence of T, optional
        What was read at each step; without it the steps are numbered.
    name : str
        What the model calls the state.
    order : {"similarity", "peak", "none"}
        Which units stand side by side: those that behave alike (the leaves of Ward's tree, so arranged that neighbours
        are as close as they can be), those that are strongest at the same step (the earliest on top), or as numbered.
    ax : matplotlib Axes, optional
        Where to draw; without it, in a new figure.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InvalidArgument
        When `states` is no matrix of finite numbers, `symbols` are not T, or `order` is another word.
    """
    values = matrix("states", states)
    rows = unit_order(values, order)
    labels = _step_labels(symbols, len(values))
    ax = _style.axes_for(ax, height=3.8)
    extent = (0.5, len(values) + 0.5, values.shape[1] - 0.5, -0.5)
    image = ax.imshow(values.T[rows], aspect="auto", interpolation="nearest", extent=extent, **shades(values))
    ax.grid(False)
    ax.figure.colorbar(image, ax=ax, pad=0.02).set_label(name, fontsize=10)
    ax.xaxis.set_ticks_position("top")
    ax.xaxis.set_label_position("top")
    _label_steps(ax, labels, symbols is not None)
    ax.set_yticks([])
    told = {"similarity": "similar ones side by side", "peak": "in order of their peaks", "none": "as numbered"}
    ax.set_ylabel(f"{values.shape[1]} units of {name},\n{told[order]}")
    return ax


def plot_probabilities(
    probabilities: ArrayLike,
    *,
    symbols: Sequence[Any] | None = None,
    class_names: Sequence[str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the probability of the classes if the sequence ended after each step.

    Of two classes only the second is drawn, since the other mirrors it; of many, the six that are likeliest at the
    end.

    Parameters
    ----------
    probabilities : array_like (T, K)
    symbols : sequence of T, optional
        What was read at each step; without it the steps are numbered.
    class_names : sequence of K, optional
    ax : matplotlib Axes, optional
        Where to draw; without it, in a new figure.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InvalidArgument
        When `probabilities` is no matrix of numbers from 0 to 1, or there are not T symbols and K names.
    """
    values = matrix("probabilities", probabilities)
    if values.min() < 0 or values.max() > 1 + 1e-6:
        raise InvalidArgument(f"probabilities must lie between 0 and 1, but there is {values.min()} to {values.max()}")
    classes = values.shape[1]
    names = _checks.names("class_names", class_names, classes)
    labels = _step_labels(symbols, len(values))
    ax = _style.axes_for(ax, height=2.8)
    shown = [1] if classes == 2 else sorted(np.argsort(-values[-1], kind="stable")[:_MOST_LINES].tolist())
    for place, which in enumerate(shown):
        _draw_steps(ax, values[:, which], names[which], place)
    ax.axhline(1 / classes, label="chance", **_CHANCE_STYLE)
    ax.set_ylim(-0.04, 1.04)
    ax.set_ylabel(f"probability of {names[1]}\nif it ended here" if classes == 2 else "probability if it ended here")
    _label_steps(ax, labels, symbols is not None)
    _legend(ax)
    return ax


def plot_gradients(
    norms: Mapping[str, ArrayLike], *, symbols: Sequence[Any] | None = None, ax: Axes | None = None
) -> Axes:
    """Draw how large the gradients of the loss are at each step, on a log axis.

    Parameters
    ----------
    norms : mapping of str to array_like (T,)
        By the name of what the gradient is taken to. A norm of zero, which no log axis has, leaves a gap.
    symbols : sequence of T, optional
        What was read at each step; without it the steps are numbered.
    ax : matplotlib Axes, optional
        Where to draw; without it, in a new figure.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InvalidArgument
        When there is nothing to draw, the norms differ in length or are negative, or there are not T symbols.
    """
    curves = {name: _norms(name, values) for name, values in norms.items()}
    if not curves or len({len(values) for values in curves.values()}) > 1:
        raise InvalidArgument(f"norms must be of one length, not {[len(values) for values in curves.values()]}")
    steps = len(next(iter(curves.values())))
    labels = _step_labels(symbols, steps)
    ax = _style.axes_for(ax, height=2.8)
    for place, (name, values) in enumerate(curves.items()):
        _draw_steps(ax, np.where(values > 0, values, np.nan), name, place)
    if any((values > 0).any() for values in curves.values()):
        log_axis(ax)
    ax.set_ylabel("norm of the\nloss's gradient")
    _label_steps(ax, labels, symbols is not None)
    _legend(ax)
    return ax


def unit_order(states: NDArray[np.float64], order: str = "similarity") -> NDArray[np.int64]:
    """Return the order in which the units of states (T, D) are drawn, int64 (D,)."""
    _checks.one_of("order", order, ORDERS)
    units = states.shape[1]
    if order == "none" or units < 3:
        return np.arange(units)
    peaks = np.abs(states).argmax(axis=0)
    if order == "peak":
        return np.argsort(peaks, kind="stable")
    # Late imports: not every start of the program draws.
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import pdist

    tree = linkage(pdist(states.T), method="ward", optimal_ordering=units <= _MOST_ORDERED)
    leaves: NDArray[np.int64] = leaves_list(tree).astype(np.int64)
    # A tree's order may be read from either end: the one with the earlier peaks on top is taken.
    half = units // 2
    return leaves[::-1] if peaks[leaves[:half]].sum() > peaks[leaves[-half:]].sum() else leaves


def _norms(name: str, given: ArrayLike) -> NDArray[np.float64]:
    values = _checks.array(f"norms[{name!r}]", given)
    if values.ndim != 1 or not values.size or values.dtype.kind not in "fiu" or np.any(values < 0):
        raise InvalidArgument(f"norms[{name!r}] must be a list of at least one number of 0 or more")
    return values.astype(np.float64)


def _step_labels(symbols: Sequence[Any] | None, steps: int) -> list[str]:
    if symbols is None:
        return [str(step) for step in range(1, steps + 1)]
    labels = [str(symbol) for symbol in symbols]
    if len(labels) != steps:
        raise InvalidArgument(f"symbols must be one for each of the {steps} steps, not {len(labels)}")
    return labels


def _label_steps(ax: Axes, labels: list[str], are_symbols: bool) -> None:
    """Write the symbols, or the numbers of the steps, along the axis: all of them, or every k-th."""
    steps = len(labels)
    ax.set_xlim(0.5, steps + 0.5)
    dense = steps > _MOST_SYMBOLS
    # Symbols without their neighbours say nothing: of a long sequence the steps are numbered instead.
    every = -(-steps // 20) if dense or (not are_symbols and steps > 20) else 1
    texts = [str(step) for step in range(1, steps + 1)] if dense else labels
    places = list(range(0, steps, every))
    size = 9 if steps <= 32 else 6
    ax.set_xticks([place + 1 for place in places], labels=[texts[place] for place in places], fontsize=size)
    ax.set_xlabel("symbol read" if are_symbols and not dense else "step")


def _draw_steps(ax: Axes, values: NDArray[np.float64], label: str, place: int) -> None:
    steps = np.arange(1, len(values) + 1)
    marker = _style.MARKERS[place % len(_style.MARKERS)]
    color = _style.PALETTE[place % len(_style.PALETTE)]
    ax.plot(
        steps, values, marker=marker, markersize=4 if len(values) <= 60 else 0, linewidth=1.6, color=color, label=label
    )


def _legend(ax: Axes) -> None:
    ax.legend(loc="best", fontsize=9, framealpha=0.9, edgecolor="none")

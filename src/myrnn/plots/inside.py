"""Figures of the inside of a model: states, probabilities and gradients of one sequence and of many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.inspection import GradientFlow, Inspection, StateSpace
from myrnn.plots import style
from myrnn.results import Floats, draws

if TYPE_CHECKING:
    from matplotlib.axes import Axes


ORDERS = {"similarity": "similar units side by side", "peak": "in order of their peaks", "none": "as numbered"}
COLORS = ("step", "class", "symbol")
# With more units, the optimal leaf ordering takes too long.
_MOST_ORDERED = 400
_MOST_STEPS, _MOST_LINES = 60, len(style.PALETTE)
# One mark per class; more classes than colours are drawn as a scale. Symbols are drawn as themselves.
_MOST_KINDS = {"step": 0, "class": len(style.PALETTE), "symbol": 16}
# The share of the axes' width and height that a sign takes.
_SIGN = np.array((0.022, 0.045))
# An SVG file of more points than this is slow to open: they are rasterized.
_MOST_VECTORS = 2000


# One sequence ---------------------------------------------------------------------------------------------------------


@draws(Inspection)
def plot_states(
    inspection: Inspection, *, state: str | None = None, order: str = "similarity", ax: Axes | None = None
) -> Axes:
    """Draw a state after every step as a heat map below the symbols that were read.

    Parameters
    ----------
    inspection : Inspection
    state : str, optional
        The name of the state; by default the one that the logits are computed from.
    order : {"similarity", "peak", "none"}
        The order of the units: similar ones side by side (the leaves of Ward's tree in optimal leaf ordering), by the
        step of their peak (the earliest on top), or as numbered.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InvalidArgument
        When `state` or `order` is unknown.

    Examples
    --------
    >>> from myrnn import RNN, inspect
    >>> found = inspect(RNN(dim_input=10, dim_recurrent=16, dim_output=2, rng=0), "123123")
    >>> ax = plot_states(found, order="peak")
    >>> ax.get_xlabel(), ax.images[0].get_array().shape
    ('symbol read', (16, 6))
    """
    name = inspection.main_state if state is None else _checks.one_of("state", state, tuple(inspection.states))
    values = inspection.states[name].astype(np.float64)
    rows = unit_order(values, order)
    ax = style.axes_for(ax, height=3.8)
    steps, units = values.shape
    extent = (0.5, steps + 0.5, units - 0.5, -0.5)
    limit = float(np.abs(values).max()) or 1.0
    # White is zero: from blue to red if there are two signs, otherwise one hue.
    colors: dict[str, Any] = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}
    if values.min() >= 0:
        colors = {"cmap": "Blues", "vmin": 0.0, "vmax": limit}
    image = ax.imshow(values.T[rows], aspect="auto", interpolation="nearest", extent=extent, **colors)
    ax.grid(False)
    ax.figure.colorbar(image, ax=ax, pad=0.02).set_label(name, fontsize=10)
    ax.xaxis.set_ticks_position("top")
    ax.xaxis.set_label_position("top")
    _label_steps(ax, inspection)
    ax.set_yticks([])
    ax.set_ylabel(f"{_checks.count_of(units, 'unit')} of {name},\n{ORDERS[order]}")
    return ax


def unit_order(states: Floats, order: str = "similarity") -> NDArray[np.int64]:
    """Return the order in which the units of states (T, D) are drawn, int64 (D,)."""
    _checks.one_of("order", order, tuple(ORDERS))
    units = states.shape[1]
    if order == "none" or units < 3:
        return np.arange(units)
    peaks = np.abs(states).argmax(axis=0)
    if order == "peak":
        return np.argsort(peaks, kind="stable")
    # Imported late: most processes do not draw.
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import pdist

    tree = linkage(pdist(states.T), method="ward", optimal_ordering=units <= _MOST_ORDERED)
    leaves: NDArray[np.int64] = leaves_list(tree).astype(np.int64)
    # The leaf order may be reversed: take the direction with the earlier peaks on top.
    half = units // 2
    return leaves[::-1] if peaks[leaves[:half]].sum() > peaks[leaves[-half:]].sum() else leaves


@draws(Inspection)
def plot_probabilities(inspection: Inspection, *, ax: Axes | None = None) -> Axes:
    """Draw the probability of the classes at each step, or if the sequence ended there.

    With two classes only the second is drawn, since the other mirrors it; with many, the six that are most likely at
    the end.

    Parameters
    ----------
    inspection : Inspection
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Examples
    --------
    >>> from myrnn import RNN, inspect
    >>> found = inspect(RNN(dim_input=10, dim_recurrent=16, dim_output=2, rng=0), "123123")
    >>> ax = plot_probabilities(found)
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['class 1', 'chance']
    """
    values, names = inspection.probabilities, inspection.class_names
    classes = len(names)
    ax = style.axes_for(ax, height=2.8)
    shown = [1] if classes == 2 else sorted(np.argsort(-values[-1], kind="stable")[:_MOST_LINES].tolist())
    for place, which in enumerate(shown):
        _draw_steps(ax, values[:, which], names[which], place)
    ax.axhline(1 / classes, label=style.CHANCE, **style.LEVEL)
    ax.set_ylim(-0.04, 1.04)
    of, end = f" of {style.word_of(names[1])}\n" if classes == 2 else " ", "if it ended here"
    ax.set_ylabel(f"probability{of}at this step" if isinstance(inspection.y, np.ndarray) else f"probability{of}{end}")
    _label_steps(ax, inspection)
    style.add_legend(ax)
    return ax


@draws(Inspection)
def plot_gradients(inspection: Inspection, *, ax: Axes | None = None) -> Axes:
    """Draw the norms of the loss's gradients with respect to states and inputs at each step, on a log axis.

    A norm of zero, which a log axis cannot show, leaves a gap.

    Parameters
    ----------
    inspection : Inspection
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Examples
    --------
    >>> from myrnn import RNN, inspect
    >>> found = inspect(RNN(dim_input=10, dim_recurrent=16, dim_output=2, rng=0), "123123")
    >>> ax = plot_gradients(found)
    >>> [text.get_text() for text in ax.get_legend().get_texts()], ax.get_yscale()
    (['state h', 'input'], 'log')
    """
    curves = {f"state {name}": norms for name, norms in inspection.state_gradient_norms.items()}
    curves["input"] = inspection.input_gradient_norms
    ax = style.axes_for(ax, height=2.8)
    for place, (name, norms) in enumerate(curves.items()):
        _draw_steps(ax, np.where(norms > 0, norms, np.nan), name, place)
    if any((norms > 0).any() for norms in curves.values()):
        style.log_axis(ax)
    ax.set_ylabel("norm of the\nloss's gradient")
    _label_steps(ax, inspection)
    style.add_legend(ax)
    return ax


def _draw_steps(ax: Axes, values: Floats, label: str, place: int) -> None:
    look = style.series(place, markers=len(values) <= _MOST_STEPS)
    ax.plot(np.arange(1, len(values) + 1), values, markersize=4, linewidth=1.6, label=style.word_of(label), **look)


def _label_steps(ax: Axes, inspection: Inspection) -> None:
    """Write the symbols, or the numbers of the steps, along the axis: all of them, or every k-th."""
    steps = len(inspection)
    # Symbols without their neighbours mean nothing: number the steps of a long sequence instead.
    symbols = inspection.symbols if steps <= _MOST_STEPS else None
    places = np.arange(0, steps, -(-steps // 20) if symbols is None else 1)
    texts = places + 1 if symbols is None else symbols
    ax.set_xlim(0.5, steps + 0.5)
    ax.set_xticks(places + 1, labels=[str(text) for text in texts], fontsize=9 if steps <= 32 else 6)
    ax.set_xlabel("step" if symbols is None else "symbol read")


# Many sequences -------------------------------------------------------------------------------------------------------


@draws(GradientFlow)
def plot_gradient_flow(flow: GradientFlow, *, label: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw the norm of the gradient against the distance from the end, on a log axis.

    Call it again with the same `ax` and another `label` to compare models. A mean of zero leaves a gap.

    Parameters
    ----------
    flow : GradientFlow
    label : str, optional
        The name of the model in the legend.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Examples
    --------
    >>> from myrnn import RNN, gradient_flow, tasks
    >>> task = tasks.TwinHalves(pattern_length_max=2)
    >>> flow = gradient_flow(RNN(task.dim_input, 8, task.dim_output, rng=0), task, samples=20)
    >>> ax = plot_gradient_flow(flow, label="RNN")
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['RNN', 'the middle 80 % of sequences']
    """
    from matplotlib.patches import Patch
    from matplotlib.ticker import MaxNLocator

    ax = style.axes_for(ax, height=3.6)
    for name in flow.mean:
        look = style.series(style.drawn_before(ax, "flow"))
        mean, low, high = (np.where(curve[name] > 0, curve[name], np.nan) for curve in (flow.mean, flow.low, flow.high))
        text = style.word_of(name if label is None else f"{label}, {name}" if len(flow.mean) > 1 else label)
        ax.fill_between(flow.distance, low, high, color=look["color"], alpha=0.18, linewidth=0, gid="flow")
        ax.plot(flow.distance, mean, markersize=4, linewidth=1.6, label=text, gid="flow", **look)
    style.log_axis(ax)
    ax.set_xlabel("steps from the end of the sequence")
    ax.set_ylabel("norm of the loss's gradient" + (",\nas a share of the last state's" if flow.relative else ""))
    ax.xaxis.set_major_locator(MaxNLocator(10, integer=True))
    ax.margins(x=0.02)
    band = Patch(facecolor=style.GREY, alpha=0.3)
    style.put_legend_above(ax, [*style.labelled(ax), (band, "the middle 80 % of sequences")])
    return ax


@draws(StateSpace)
def plot_state_space(space: StateSpace, *, color: str = "step", ax: Axes | None = None) -> Axes:
    """Draw states as points in two principal components.

    Parameters
    ----------
    space : StateSpace
    color : {"step", "class", "symbol"}
        The meaning of the colours: steps on a scale, classes in separate colours, symbols as themselves.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InvalidArgument
        When `color` is unknown, or the sequences have no symbols to colour by.

    Examples
    --------
    >>> from myrnn import RNN, state_space, tasks
    >>> task = tasks.TwinHalves(pattern_length_max=2)
    >>> space = state_space(RNN(task.dim_input, 8, task.dim_output, rng=0), task, samples=20)
    >>> ax = plot_state_space(space, color="symbol")
    >>> ax.get_title()
    'the last symbol read; a dot where there is no space for it'
    """
    groups = {"step": space.step, "class": space.label, "symbol": space.symbol}[_checks.one_of("color", color, COLORS)]
    if groups is None:
        raise InvalidArgument('color="symbol" needs sequences of tokens, but these hold features')
    points = space.coordinates
    ax = style.axes_for(ax, height=4.4)
    if len(np.unique(groups)) > _MOST_KINDS[color]:
        _scatter_on_scale(ax, points, groups, color)
    elif color == "class":
        _scatter_classes(ax, points, groups, space.class_names)
    else:
        _scatter_symbols(ax, points, groups, space.symbol_names)
    for number, axis in enumerate((ax.xaxis, ax.yaxis)):
        axis.set_label_text(f"principal component {number + 1} ({space.explained[number]:.0%} of the variance)")
    return ax


def _scatter_on_scale(ax: Axes, points: Floats, kinds: NDArray[Any], name: str) -> None:
    from matplotlib.ticker import MaxNLocator

    # Viridis ends in a yellow that vanishes on white paper, so the scale extends a little beyond the data.
    low, high = int(kinds.min()), int(kinds.max())
    top = high + 0.12 * max(high - low, 1)
    marks = ax.scatter(points[:, 0], points[:, 1], c=kinds, vmin=low, vmax=top, cmap="viridis", **_dots(points))
    bar = ax.figure.colorbar(marks, ax=ax, pad=0.02)
    bar.ax.set_ylim(low, high if high > low else top)
    bar.ax.yaxis.set_major_locator(MaxNLocator(8, integer=True))
    bar.set_label(name, fontsize=10)
    bar.solids.set(alpha=1)  # type: ignore[union-attr]


def _scatter_classes(ax: Axes, points: Floats, kinds: NDArray[Any], names: Sequence[str] | None) -> None:
    present = np.unique(kinds).tolist()
    colors = {kind: style.PALETTE[place] for place, kind in enumerate(present)}
    # In the order of the points, so that no class lies on top of the others.
    ax.scatter(points[:, 0], points[:, 1], c=[colors[kind] for kind in kinds.tolist()], **_dots(points))
    for kind in present:
        text = names[kind] if names is not None and kind < len(names) else f"class {kind}"
        ax.scatter([], [], 30, color=colors[kind], label=style.word_of(text))
    style.add_legend(ax)


def _scatter_symbols(ax: Axes, points: Floats, kinds: NDArray[Any], names: Sequence[str] | None) -> None:
    """Draw each point as its symbol: a letter or digit as it is, any other by its number, explained in the legend."""
    from matplotlib import colormaps

    present = np.unique(kinds).tolist()
    texts = {kind: f"{kind}" if names is None else names[kind] for kind in present}
    signs_of = {kind: text if text.isalnum() and len(text) == 1 else f"{kind}" for kind, text in texts.items()}
    apart = _far_apart(points)
    for place, kind in enumerate(present):
        color = colormaps["viridis"](style.VIRIDIS_END * place / max(len(present) - 1, 1))
        for chosen, look in (
            (points[(kinds == kind) & apart], {"marker": f"${signs_of[kind]}$", "s": 40, "zorder": 3}),
            (points[(kinds == kind) & ~apart], {"s": 9, "alpha": 0.45}),
        ):
            ax.scatter(chosen[:, 0], chosen[:, 1], color=[color], **{**_dots(points), **look})
        ax.scatter([], [], 40, color=[color], marker=f"${signs_of[kind]}$", label=style.word_of(texts[kind]))
    ax.set_title("the last symbol read; a dot where there is no space for it", fontsize=10)
    signs = [(handle, "" if text in signs_of.values() else text) for handle, text in style.labelled(ax)]
    style.add_legend(ax, signs, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, handletextpad=0)


def _far_apart(points: Floats) -> NDArray[np.bool_]:
    """Return which points have space for a letter, bool (P,), so that none covers another, in order."""
    span = np.ptp(points, axis=0)
    places = (points - points.min(axis=0)) / np.where(span > 0, span, 1) / _SIGN
    kept: list[Floats] = []
    apart = np.zeros(len(points), dtype=np.bool_)
    for number, place in enumerate(places):
        if not kept or (np.abs(np.array(kept) - place) >= 1).any(axis=1).all():
            kept.append(place)
            apart[number] = True
    return apart


def _dots(points: Floats) -> dict[str, Any]:
    many = len(points) > 600
    return {
        "s": 9 if many else 18,
        "alpha": 0.65 if many else 0.85,
        "linewidths": 0,
        "rasterized": len(points) > _MOST_VECTORS,
    }

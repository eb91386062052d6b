"""The figures of a finished training or evaluation, from plain arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.plots import _style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# matplotlib is loaded only when something is drawn: importing it is most of our start-up time.

_FEW_POINTS = 50  # markers on more points than this would run into one thick line
_MOST_TICKS = 20
_BEYOND, _CHANCE, _TRAINING = "longer than trained on", "chance", "training"
_LINES = ("-", "--", ":", "-.")  # for more trainings than there are colours


def plot_history(
    iteration: ArrayLike,
    loss: ArrayLike,
    accuracy: ArrayLike,
    *,
    axes: Any = None,
    chance: float | None = None,
    label: str | None = None,
) -> Any:
    """Draw loss and accuracy against the iteration, one above the other.

    Call it again with the same `axes` and another `label` to compare trainings.

    Parameters
    ----------
    iteration, loss, accuracy : array_like (R,)
        One entry a report; a loss or accuracy that is not finite leaves a gap.
    axes : two matplotlib Axes, optional
        Where to draw: loss on the first, accuracy on the second. Without it, in a new figure.
    chance : float, optional
        The accuracy of guessing, drawn as a line.
    label : str, optional
        The name of the training in the legend.

    Returns
    -------
    ndarray of two matplotlib Axes

    Raises
    ------
    InvalidArgument
        When the arrays are not one-dimensional, of numbers and equally long, or `axes` are not two.
    """
    x, losses, accuracies = _columns(iteration=iteration, loss=loss, accuracy=accuracy)
    panels = _style.new_axes(2, height=4.6) if axes is None else np.ravel(np.array(axes, dtype=object))
    if len(panels) != 2:
        raise InvalidArgument(f"axes must be two Axes, for loss and accuracy, not {len(panels)}")
    for ax in panels:
        _style.ready(ax)
    place = sum(line.get_gid() == _TRAINING for line in panels[0].get_lines())
    look = {
        "marker": _style.MARKERS[place % len(_style.MARKERS)] if len(x) <= _FEW_POINTS else "",
        "linestyle": _LINES[place // len(_style.PALETTE) % len(_LINES)],
    }
    for ax, name, values in zip(panels, ("loss", "accuracy"), (losses, accuracies), strict=True):
        ax.plot(x, values, markersize=4, linewidth=1.6, label=label, gid=_TRAINING, **look)
        ax.set_ylabel(name)
    _style.count_iterations(panels[1])
    if chance is not None:
        _draw_chance(panels[1], chance)
        panels[1].legend(*_entries(panels[1], _CHANCE), loc="best", fontsize=9, frameon=False)
    if label is not None:
        panels[0].legend(loc="best", fontsize=9, framealpha=0.9, edgecolor="none")
    _fit_accuracy(panels[1], accuracies, chance)
    return panels


def plot_epochs(history: Mapping[str, ArrayLike], *, best_epoch: int | None = None, axes: Any = None) -> Any:
    """Draw loss and accuracy by epoch, on the sequences that were learned from and on those kept for validation.

    Parameters
    ----------
    history : mapping
        As `SequenceClassifier.history_` has it: ``epoch``, ``loss``, ``accuracy``, and ``validation_loss`` and
        ``validation_accuracy`` where some sequences were kept.
    best_epoch : int, optional
        The epoch whose weights the classifier has, marked by a line.
    axes : two matplotlib Axes, optional
        Where to draw: loss on the first, accuracy on the second. Without it, in a new figure.

    Returns
    -------
    ndarray of two matplotlib Axes

    Raises
    ------
    InvalidArgument
        When a column is missing, or they are not equally long.
    """
    if missing := [name for name in ("epoch", "loss", "accuracy") if name not in history]:
        raise InvalidArgument(f"history must have epoch, loss and accuracy, but has no {missing[0]}")
    both = "validation_loss" in history and "validation_accuracy" in history
    label = "training" if both else None
    axes = plot_history(history["epoch"], history["loss"], history["accuracy"], axes=axes, label=label)
    if both:
        kept = history["validation_loss"], history["validation_accuracy"]
        axes = plot_history(history["epoch"], *kept, axes=axes, label="validation")
    for ax in () if best_epoch is None else axes:
        ax.axvline(best_epoch, color=_style.GREY, linestyle=":", linewidth=1.4, zorder=1, label="weights kept")
    if best_epoch is not None:
        axes[0].legend(loc="best", fontsize=9, framealpha=0.9, edgecolor="none")
    axes[1].set_xlabel("epochs")
    return axes


def _entries(ax: Axes, name: str) -> tuple[list[Any], list[str]]:
    """Return one line of that name, and the name, for a legend."""
    handles, labels = ax.get_legend_handles_labels()
    return handles[labels.index(name) : labels.index(name) + 1], [name]


def plot_accuracy_by_length(
    lengths: ArrayLike,
    accuracy: ArrayLike,
    low: ArrayLike,
    high: ArrayLike,
    *,
    trained_up_to: int | None = None,
    chance: float | None = None,
    label: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw accuracy against the length of the sequence, with an interval at every length.

    Call it again with the same `ax` and another `label` to compare models.

    Parameters
    ----------
    lengths : array_like of integers (N,)
        T of the sequences.
    accuracy, low, high : array_like of floats (N,)
        The share of right answers at each length, and the ends of its interval.
    trained_up_to : int, optional
        The longest length that was trained on. Longer ones get hollow markers on a shaded ground.
    chance : float, optional
        The accuracy of guessing, drawn as a line.
    label : str, optional
        The name of the model in the legend.
    ax : matplotlib Axes, optional
        Where to draw; without it, in a new figure.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    InvalidArgument
        When the arrays are not one-dimensional, of numbers and equally long, or an accuracy lies outside its interval.
    """
    x, y, bottom, top = _columns(lengths=lengths, accuracy=accuracy, low=low, high=high)
    _check_intervals(x, y, bottom, top)
    if trained_up_to is not None:
        _checks.integer("trained_up_to", trained_up_to, minimum=0)
    ax = _style.axes_for(ax, height=3.6)
    _draw_curve(ax, x, y, (bottom, top), trained_up_to, label)
    if trained_up_to is not None and (x > trained_up_to).any():
        _shade_from(ax, (trained_up_to + x[x > trained_up_to].min()) / 2)
    if chance is not None:
        _draw_chance(ax, chance)
    _fit_lengths(ax)
    _fit_accuracy(ax, bottom, chance)
    ax.set_xlabel("length of the sequence")
    ax.set_ylabel("accuracy")
    _refresh_legend(ax)
    return ax


def _draw_curve(
    ax: Axes,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    interval: tuple[NDArray[np.float64], NDArray[np.float64]],
    trained_up_to: int | None,
    label: str | None,
) -> None:
    marker = _style.MARKERS[len(ax.containers) % len(_style.MARKERS)]
    # Rounding may put a perfect score a hair outside its interval; matplotlib refuses negative bars.
    bars = np.maximum([y - interval[0], interval[1] - y], 0.0)
    drawn = ax.errorbar(x, y, bars, marker=marker, markersize=5, linewidth=1.6, elinewidth=1, capsize=2.5, label=label)
    if trained_up_to is not None:
        beyond = x > trained_up_to
        # The colour is said, so that it is not taken from the axes' cycle, where the next model's stands.
        color = drawn[0].get_color()
        hollow: dict[str, Any] = {"marker": marker, "markersize": 5, "markerfacecolor": "white", "linestyle": ""}
        ax.plot(x[beyond], y[beyond], color=color, zorder=3, **hollow)


def _shade_from(ax: Axes, boundary: float) -> None:
    """Shade what lies right of `boundary`, once for each boundary."""
    from matplotlib.patches import Rectangle

    if any(patch.get_x() == boundary for patch in _shades(ax)):
        return
    shade = Rectangle((boundary, 0), 1, 1, transform=ax.get_xaxis_transform(), color="black", alpha=0.06, linewidth=0)
    shade.set_gid(_BEYOND)
    shade.set_zorder(0)
    ax.add_artist(shade)  # not add_patch: the ground does not take part in choosing the limits


def _shades(ax: Axes) -> list[Any]:
    return [artist for artist in ax.get_children() if artist.get_gid() == _BEYOND]


def _draw_chance(ax: Axes, chance: float) -> None:
    """Draw the level of guessing, once for each level."""
    level = _checks.real("chance", chance, minimum=0.0)
    if any(line.get_gid() == _CHANCE and line.get_ydata()[0] == level for line in ax.get_lines()):  # type: ignore[index]
        return
    ax.axhline(level, color=_style.GREY, linestyle="--", linewidth=1.2, label=_CHANCE, gid=_CHANCE, zorder=1)


def _fit_lengths(ax: Axes) -> None:
    """Let the axis reach from the shortest to the longest length of all curves, a tick at each or every k-th."""
    from matplotlib.container import ErrorbarContainer

    curves = [np.asarray(curve[0].get_xdata()) for curve in ax.containers if isinstance(curve, ErrorbarContainer)]
    lengths = np.unique(np.concatenate(curves))
    margin = max(0.03 * (lengths[-1] - lengths[0]), 0.5)
    ax.set_xlim(lengths[0] - margin, lengths[-1] + margin)
    step = -(-len(lengths) // _MOST_TICKS)
    ax.set_xticks(lengths[::step], labels=[f"{length:.0f}" for length in lengths[::step]])
    ax.set_xticks(lengths, minor=True)
    for shade in _shades(ax):
        shade.set_width(lengths[-1] + margin - shade.get_x())


def _fit_accuracy(ax: Axes, values: NDArray[np.float64], chance: float | None) -> None:
    """Let the axis reach from a little below the lowest value ever drawn here to 1."""
    known = [*values[np.isfinite(values)], 1.0 if chance is None else chance]
    bottom = max(0.0, min(known) - 0.05)
    # The limits of untouched axes start at 0 and say nothing.
    before = ax.get_ylim()[0] if not ax.get_autoscaley_on() else bottom
    ax.set_ylim(min(bottom, before), 1.03)


def _refresh_legend(ax: Axes) -> None:
    entries = _legend_entries(ax)
    if entries:
        ax.legend(*zip(*entries, strict=True), loc="best", fontsize=9, framealpha=0.9, edgecolor="none")


def _legend_entries(ax: Axes) -> list[tuple[Any, str]]:
    """Name what needs a name: the curves with labels, the hollow markers, chance."""
    from matplotlib.lines import Line2D

    handles, labels = ax.get_legend_handles_labels()
    curves = [(h, text) for h, text in zip(handles, labels, strict=True) if text != _CHANCE]
    levels = [(h, text) for h, text in zip(handles, labels, strict=True) if text == _CHANCE]
    if _shades(ax):
        sample = Line2D([], [], marker="o", color=_style.GREY, markerfacecolor="white", linestyle="none")
        curves.append((sample, _BEYOND))
    return curves + levels[:1]


def _columns(**named: ArrayLike) -> list[NDArray[np.float64]]:
    """Return the arguments as float64 (N,) arrays of one length N > 0."""
    columns = []
    for name, values in named.items():
        try:
            column = np.asarray(values, dtype=np.float64)
        except (TypeError, ValueError):
            raise InvalidArgument(f"{name} must be a list of numbers, not {values!r}") from None
        if column.ndim != 1 or not len(column):
            raise InvalidArgument(f"{name} must be a list of at least one number, not of shape {column.shape}")
        columns.append(column)
    if len({len(column) for column in columns}) > 1:
        sizes = ", ".join(str(len(column)) for column in columns)
        raise InvalidArgument(f"{', '.join(named)} must be equally long, not {sizes}")
    return columns


def _check_intervals(
    lengths: NDArray[np.float64], accuracy: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64]
) -> None:
    _checks.finite("lengths", lengths)
    outside = (accuracy < low - 1e-9) | (accuracy > high + 1e-9)
    if outside.any():
        i = int(np.argmax(outside))
        raise InvalidArgument(
            f"accuracy must lie between low and high, but at length {lengths[i]:.0f} it is {accuracy[i]:g}, "
            f"outside {low[i]:g} to {high[i]:g}"
        )

"""The figures of a finished training or evaluation, from plain arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.plots import _style
from myrnn.plots._accuracy import (
    CHANCE,
    draw_chance,
    fit_accuracy,
    legend_entries,
    shade_beyond,
    stretch_shades,
    tick_lengths,
)
from myrnn.plots._arrays import check_intervals, columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# matplotlib is loaded only when something is drawn: importing it is most of our start-up time.

_FEW_POINTS = 50  # markers on more points than this would run into one thick line
_TRAINING = "training"
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
    x, losses, accuracies = columns(iteration=iteration, loss=loss, accuracy=accuracy)
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
    named = None if label is None else _style.word_of(label)
    for ax, name, values in zip(panels, ("loss", "accuracy"), (losses, accuracies), strict=True):
        ax.plot(x, values, markersize=4, linewidth=1.6, label=named, gid=_TRAINING, **look)
        ax.set_ylabel(name)
    _style.count_iterations(panels[1])
    if chance is not None:
        draw_chance(panels[1], chance)
        panels[1].legend(*_entries(panels[1], CHANCE), loc="best", fontsize=9, frameon=False)
    if label is not None:
        panels[0].legend(loc="best", fontsize=9, framealpha=0.9, edgecolor="none")
    fit_accuracy(panels[1], accuracies, chance)
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
    x, y, bottom, top = columns(lengths=lengths, accuracy=accuracy, low=low, high=high)
    check_intervals(x, y, bottom, top)
    if trained_up_to is not None:
        _checks.integer("trained_up_to", trained_up_to, minimum=0)
    ax = _style.axes_for(ax, height=3.6)
    _draw_curve(ax, x, y, (bottom, top), trained_up_to, None if label is None else _style.word_of(label))
    shade_beyond(ax, x, trained_up_to)
    if chance is not None:
        draw_chance(ax, chance)
    _fit_lengths(ax)
    fit_accuracy(ax, bottom, chance)
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


def _fit_lengths(ax: Axes) -> None:
    """Let the axis reach from the shortest to the longest length of all curves, a tick at each or every k-th."""
    from matplotlib.container import ErrorbarContainer

    curves = [np.asarray(curve[0].get_xdata()) for curve in ax.containers if isinstance(curve, ErrorbarContainer)]
    lengths = np.unique(np.concatenate(curves))
    margin = max(0.03 * (lengths[-1] - lengths[0]), 0.5)
    ax.set_xlim(lengths[0] - margin, lengths[-1] + margin)
    tick_lengths(ax, lengths)
    ax.set_xticks(lengths, minor=True)
    stretch_shades(ax, lengths[-1] + margin)


def _refresh_legend(ax: Axes) -> None:
    entries = legend_entries(ax)
    if entries:
        ax.legend(*zip(*entries, strict=True), loc="best", fontsize=9, framealpha=0.9, edgecolor="none")

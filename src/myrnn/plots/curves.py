"""Figures of a training: loss and accuracy over its iterations or epochs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from myrnn.errors import InvalidArgument
from myrnn.learning_curve import ACCURACY, LearningCurve, word_for
from myrnn.plots import style
from myrnn.results import draws

_TRAINING = "training"


@draws(LearningCurve)
def plot_learning_curve(
    curve: LearningCurve, *, axes: Any = None, label: str | None = None, best_epoch: int | None = None
) -> Any:
    """Draw loss and accuracy of a training, one above the other, and the accuracy of guessing if it is known.

    The validation has separate lines. Call it again with the same `axes` and another `label` to compare trainings.

    Parameters
    ----------
    curve : LearningCurve
        A loss or accuracy that is not finite leaves a gap.
    axes : two matplotlib Axes, optional
        Loss is drawn on the first, accuracy, or the squared error of numbers, on the second; by default in a new
        figure.
    label : str, optional
        The name of the training in the legend.
    best_epoch : int, optional
        The epoch whose weights were kept, marked by a line.

    Returns
    -------
    ndarray of two matplotlib Axes

    Raises
    ------
    InvalidArgument
        When `axes` are not two.

    Examples
    --------
    >>> import numpy as np
    >>> from myrnn.learning_curve import LearningCurve
    >>> step, loss, accuracy = np.array([100, 200]), np.array([0.69, 0.2]), np.array([0.5, 0.95])
    >>> curve = LearningCurve(step, loss, accuracy, chance=0.5)
    >>> axes = plot_learning_curve(curve, label="GRU")
    >>> [ax.get_ylabel() for ax in axes]
    ['loss', 'accuracy']
    """
    panels = style.axes_for_each(2, axes, "two Axes, for loss and accuracy", height=4.6)
    style.count_iterations(panels[1], f"{curve.unit}s")
    has_validation = curve.validation_loss is not None and curve.validation_score is not None
    _draw(panels, curve, ("loss", curve.metric), _TRAINING if label is None and has_validation else label)
    if has_validation:
        columns = "validation_loss", f"validation_{curve.metric}"
        _draw(panels, curve, columns, "validation" if label is None else f"{label}, validation")
    for ax in panels if best_epoch is not None else ():
        ax.axvline(best_epoch, color=style.GREY, linestyle=":", linewidth=1.4, zorder=1, label="weights kept")
    style.add_legend(panels[0])
    if curve.chance is not None:
        level = style.draw_chance(panels[1], curve.chance)
        style.add_legend(panels[1], [(level, level.get_label())])
    return panels


def plot_learning_curves(curves: Mapping[str, LearningCurve]) -> Any:
    """Draw several trainings by name in one figure; see `plot_learning_curve`.

    Parameters
    ----------
    curves : mapping of str to LearningCurve
        The trainings by name.

    Returns
    -------
    ndarray of two matplotlib Axes

    Raises
    ------
    InvalidArgument
        When some have accuracies and others errors, or some count iterations and others epochs.

    Examples
    --------
    >>> import numpy as np
    >>> from myrnn.learning_curve import LearningCurve
    >>> step, loss, accuracy = np.array([100, 200]), np.array([0.69, 0.2]), np.array([0.5, 0.95])
    >>> curve = LearningCurve(step, loss, accuracy, chance=0.5)
    >>> axes = plot_learning_curves({"GRU": curve, "LSTM": curve})
    >>> [text.get_text() for text in axes[0].get_legend().get_texts()]
    ['GRU', 'LSTM']
    """
    for what, found in (
        ("score", {word_for(curve.metric): name for name, curve in curves.items()}),
        ("unit", {f"{curve.unit}s": name for name, curve in curves.items()}),
    ):
        if len(found) > 1:
            each = " and ".join(f"{name} has {value}" for value, name in found.items())
            raise InvalidArgument(f"only trainings with the same {what} can be drawn in one figure: {each}")
    axes = None
    for name, curve in curves.items():
        axes = plot_learning_curve(curve, axes=axes, label=name)
    return axes


def _draw(panels: NDArray[Any], curve: LearningCurve, names: tuple[str, ...], label: str | None) -> None:
    look = style.series(style.drawn_before(panels[0], _TRAINING), markers=len(curve) <= style.FEW_POINTS)
    named = None if label is None else style.word_of(label)
    for ax, title, name in zip(panels, ("loss", word_for(curve.metric)), names, strict=True):
        ax.plot(curve.step, curve.columns[name], markersize=4, linewidth=1.6, label=named, gid=_TRAINING, **look)
        ax.set_ylabel(title)
    if curve.metric == ACCURACY:
        style.fit_accuracy(panels[1], curve.columns[names[1]], curve.chance)

"""Figures of classifier tests: confusion, accuracy by probability, transfer."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

from myrnn.evaluation import Calibration, Confusion, TransferTable
from myrnn.plots import style
from myrnn.results import draws

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# The colour bar of shares.
_PERCENT: dict[str, Any] = {"fraction": 0.05, "format": lambda share, _: f"{100 * share:.0f}"}
_BLUES = "Blues"  # one hue from light to dark, safe for colour-blind readers
# With more classes the cells are too small for numbers, and with even more, names are too small to read.
_MOST_NUMBERED, _MOST_NAMED = 14, 40
_LONGEST_NAME = 18
_CELL_HEIGHT, _ROOM = 0.62, 1.35  # inches
# Characters that fit below all cells together, below one cell at least, and beside the cells.
_ROW, _SHORTEST_LINE, _SIDE = 52, 8, 24
_MOST_UPRIGHT = 5  # up to this many tasks, names are upright
_LONGEST_TURNED = 30
_MOST_WITH_INTERVAL = 8


@draws(Confusion)
def plot_confusion(confusion: Confusion, *, ax: Axes | None = None) -> Axes:
    """Draw the confusion matrix of sequences, or steps, as a heat map.

    Rows are the true classes, columns the predicted ones. Colours show shares of the row.

    Parameters
    ----------
    confusion : Confusion
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Examples
    --------
    >>> from myrnn.evaluation import classification_report
    >>> chances = [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]
    >>> report = classification_report(["ham", "spam", "spam"], chances, ["ham", "spam"], lengths=[3, 5, 5])
    >>> ax = plot_confusion(report.confusion)
    >>> [text.get_text() for text in ax.texts]  # the counts that are not 0
    ['1', '1', '1']
    """
    counts = confusion.counts
    ax = style.axes_for(ax, height=5.2 if len(counts) > 4 else 4.2)
    of_row = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    image = ax.imshow(of_row, cmap=_BLUES, vmin=0.0, vmax=1.0, interpolation="nearest")
    if len(counts) <= _MOST_NUMBERED:
        size, inks = 10 if len(counts) <= 8 else 8, style.ink_on(image.to_rgba(of_row))
        for row, column in zip(*np.nonzero(counts), strict=True):
            look = {"ha": "center", "va": "center", "fontsize": size, "color": inks[row, column]}
            ax.text(column, row, f"{counts[row, column]:,}", **look)
    _name_classes(ax, confusion.classes)
    style.add_scale(ax, image, "share of the class, %", **_PERCENT)
    return ax


def _name_classes(ax: Axes, classes: Sequence[str]) -> None:
    places = range(0, len(classes), -(-len(classes) // _MOST_NAMED))
    names = [style.word_of(classes[place], _LONGEST_NAME) for place in places]
    fits = max(map(len, names)) * len(names) <= 60
    size = 9 if len(names) <= 20 else 6
    style.name_places(ax, places, names, turned=not fits, fontsize=size)
    ax.set_yticks(places, labels=names, fontsize=size)
    ax.tick_params(length=0)
    ax.set_xlabel("predicted")
    ax.set_ylabel("true class")


@draws(Calibration)
def plot_calibration(calibration: Calibration, *, ax: Axes | None = None) -> Axes:
    """Draw the accuracy of predictions against their probability.

    Parameters
    ----------
    calibration : Calibration
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Examples
    --------
    >>> from myrnn.evaluation import classification_report
    >>> chances = [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]
    >>> report = classification_report(["ham", "spam", "spam"], chances, ["ham", "spam"], lengths=[3, 5, 5])
    >>> ax = plot_calibration(report.calibration)
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['perfect calibration', 'share of the predictions', 'the classifier']
    """
    ax = style.axes_for(ax, height=4.2)
    edges, total = calibration.edges, calibration.total
    columns: dict[str, Any] = {"color": style.LIGHT_GREY, "edgecolor": "white", "linewidth": 1, "zorder": 1}
    shares = total / max(int(total.sum()), 1)
    ax.bar(edges[:-1], shares, np.diff(edges), align="edge", label="share of the predictions", **columns)
    ax.plot([0, 1], [0, 1], label="perfect calibration", **{**style.LEVEL, "zorder": 2})
    filled = total > 0
    x, y, ends = (part[filled] for part in (calibration.mean_probability, calibration.accuracy, calibration.interval))
    # A probability of 1 is at the edge, where its point would be cut in half.
    style.draw_intervals(ax, x, y, ends, "the classifier", **style.series(0), zorder=3, clip_on=False)
    ax.set(xlim=(0, 1), ylim=(0, 1.03), xlabel="probability of the predicted class", ylabel="accuracy")
    style.add_legend(ax, loc="upper left")
    return ax


@draws(TransferTable)
def plot_transfer(table: TransferTable, *, ax: Axes | None = None) -> Axes:
    """Draw the accuracy of every model on every task as a heat map, with the numbers and their intervals.

    The colours begin at the accuracy of guessing. If a model cannot read a task, the cell is hatched and marked "n/a".

    Parameters
    ----------
    table : TransferTable
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Examples
    --------
    >>> import numpy as np
    >>> from myrnn.evaluation import TransferTable
    >>> total, correct, chance = np.array([[100, 100]]), np.array([[98, 55]]), np.array([0.5])
    >>> ax = plot_transfer(TransferTable(("GRU",), ("halves", "palindromes"), total, correct, chance))
    >>> [text.get_text() for text in ax.texts]
    ['98.0', '93.0-99.4', '55.0', '45.2-64.4']
    """
    accuracy, interval, known = table.accuracy, table.interval, np.ma.masked_invalid(table.accuracy)
    ax = style.axes_for(ax, height=_ROOM + _CELL_HEIGHT * len(table.models))
    image = ax.imshow(known, cmap=_BLUES, vmin=np.nanmin(table.chance), vmax=1.0, aspect="auto")
    inks = style.ink_on(image.to_rgba(known))
    for row, column in np.ndindex(*accuracy.shape):
        share = accuracy[row, column]
        if np.isnan(share):
            _hatch_cell(ax, column, row)
            continue
        low, high = 100 * interval[row, column]
        color = inks[row, column]
        if len(table.tasks) > _MOST_WITH_INTERVAL:
            # Only a short number fits into a narrow cell.
            ax.text(column, row, f"{100 * share:.0f}", va="center", ha="center", fontsize=7, color=color)
            continue
        ax.text(column, row, f"{100 * share:.1f}", va="bottom", ha="center", fontsize=11, color=color)
        ax.text(column, row + 0.08, f"{low:.1f}-{high:.1f}", va="top", ha="center", fontsize=7.5, color=color)
    style.add_scale(ax, image, "accuracy, %", **_PERCENT)
    _name_sides(ax, table.models, table.tasks)
    return ax


def _hatch_cell(ax: Axes, column: int, row: int) -> None:
    """Mark a cell without a number."""
    from matplotlib.patches import Rectangle

    look: dict[str, Any] = {"facecolor": "white", "edgecolor": style.LIGHT_GREY, "hatch": "///", "linewidth": 0}
    ax.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, **look))
    ground = {"facecolor": "white", "edgecolor": "none", "pad": 2}
    ax.text(column, row, "n/a", ha="center", va="center", fontsize=10, color=style.GREY, bbox=ground)


def _name_sides(ax: Axes, models: Sequence[str], tasks: Sequence[str]) -> None:
    longest = 60 if len(tasks) <= _MOST_UPRIGHT else _LONGEST_TURNED
    models, tasks = ([style.word_of(name, longest) for name in names] for names in (models, tasks))
    are_turned = len(tasks) > _MOST_UPRIGHT
    if not are_turned:
        tasks = [fill(name, max(_ROW // len(tasks), _SHORTEST_LINE), break_long_words=False) for name in tasks]
    style.name_places(ax, range(len(tasks)), tasks, turned=are_turned)
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

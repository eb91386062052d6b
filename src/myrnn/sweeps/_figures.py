"""The figures of a sweep, from its tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from myrnn import plots
from myrnn.errors import InvalidArgument
from myrnn.sweeps._groups import grouped, short
from myrnn.sweeps._table import Columns, Tables

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# More lines than this in one picture hide each other: settings that would make more are left out of the groups.
MOST_LINES = 6
METRIC_NAMES = {
    "accuracy": "accuracy on the trained lengths",
    "worst": "accuracy on the worst trained length",
    "beyond": "accuracy beyond the trained lengths",
    "loss": "loss at the end",
}


def few_groups(columns: Columns, names: Iterable[str]) -> tuple[str, ...]:
    """Return as many of the settings, from the first on, as make few groups together."""
    kept: tuple[str, ...] = ()
    for name in names:
        if len(grouped(columns, (*kept, name))) > MOST_LINES:
            break
        kept = (*kept, name)
    return kept


def draw_lengths(tables: Tables, by: Sequence[str], chance: float | None, ax: Any) -> Axes:
    """Draw accuracy by length with a line a group."""
    accuracy, lengths = _by_length(tables)
    if not len(lengths):
        raise InvalidArgument("there is nothing to draw: no run of the sweep is done")
    curves = {}
    for key, rows in grouped(tables.runs, by).items():
        known = accuracy[rows][~np.isnan(accuracy[rows]).any(axis=1)]
        if len(known):
            curves[label(by, key)] = known
    longest = {value for value in tables.runs["longest"] if value is not None}
    trained = longest.pop() if len(longest) == 1 else None
    return plots.plot_length_bands(lengths, curves, trained_up_to=trained, chance=chance, ax=ax)


def draw_setting(columns: Columns, name: str, metric: str, by: Sequence[str], ax: Any) -> Axes:
    """Draw a metric against one setting."""
    groups = [label(by, key) for key in zip(*(columns[other] for other in by), strict=True)] if by else None
    return plots.plot_setting(
        columns[name], outcomes(columns, metric), groups, name=short(name), outcome_name=METRIC_NAMES[metric], ax=ax
    )


def draw_parallel(columns: Columns, names: Sequence[str], metric: str, ax: Any) -> Axes:
    """Draw all settings that vary side by side."""
    if not names:
        raise InvalidArgument("there is nothing to draw: no setting varies")
    settings = {short(name): columns[name] for name in names}
    return plots.plot_parallel(settings, outcomes(columns, metric), outcome_name=metric, ax=ax)


def outcomes(columns: Columns, metric: str) -> NDArray[np.float64]:
    """Return a metric of all runs, NaN where there is none."""
    return np.array([np.nan if value is None else value for value in columns[metric]], dtype=np.float64)


def label(names: Sequence[str], values: Sequence[Any]) -> str:
    """Return a group's name in a legend."""
    words = []
    for name, value in zip(names, values, strict=True):
        told = f"{value:g}" if isinstance(value, float) else str(value)
        words.append(told if isinstance(value, str) else f"{short(name)} {told}")
    return ", ".join(words) or "all runs"


def _by_length(tables: Tables) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the accuracies of all runs at the lengths that all of them have, float64 (R, L), NaN where there is none.

    Returns
    -------
    accuracy : ndarray, float64 (R, L)
    lengths : ndarray, int64 (L,)
    """
    rows = {run: row for row, run in enumerate(tables.runs["run"])}
    length = np.asarray(tables.lengths["length"], dtype=np.int64)
    lengths, places = np.unique(length, return_inverse=True)
    accuracy = np.full((len(rows), len(lengths)), np.nan)
    owner = np.array([rows[run] for run in tables.lengths["run"]], dtype=np.intp)
    shares = np.asarray(tables.lengths["correct"]) / np.asarray(tables.lengths["total"])
    accuracy[owner, places] = shares
    done = ~np.isnan(accuracy).all(axis=1)
    shared = ~np.isnan(accuracy[done]).any(axis=0)
    return accuracy[:, shared], lengths[shared]

"""The figures of a sweep: accuracy by length, and the outcome of the runs against their settings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from myrnn import plots
from myrnn.errors import InvalidArgument
from myrnn.evaluation.evaluate import guessed
from myrnn.experiment.sources import SOURCES
from myrnn.learning_curve import word_for
from myrnn.results import draws
from myrnn.sweeps.metrics import checked_metric, metrics
from myrnn.sweeps.results import SweepResults, cell, grouped, short
from myrnn.sweeps.study import Point
from myrnn.sweeps.summary import base_rates_of
from myrnn.tasks import recognition_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# More lines in one figure hide each other: settings that would exceed this are left out of the groups.
MOST_LINES = 6
NO_LENGTH = "there is nothing to draw: there is no length at which all runs were tested"


@draws(SweepResults)
def plot_lengths(results: SweepResults, *, by: str | Iterable[str] | None = None, ax: Axes | None = None) -> Axes:
    """Draw accuracy by length: a line for the mean of each group and a band from its lowest run to its highest."""
    names = results.setting_names(by)
    lines = _few(results, names) if by is None else names
    panel = _panel(results, range(len(results)), lines)
    if panel is None:
        raise InvalidArgument(NO_LENGTH)
    return plots.plot_length_bands(**panel._asdict(), ax=ax)


@draws(SweepResults)
def plot_grid(results: SweepResults, *, by: str | Iterable[str] | None = None) -> NDArray[Any]:
    """Draw accuracy by length, with a panel for each task or file, and a line for each group of the other settings."""
    names = results.setting_names(by)
    across = tuple(name for name in names if name.partition(".")[0] in SOURCES)
    lines = tuple(name for name in names if name not in across)
    titles = _titles(results, across)
    found = {titles[key]: _panel(results, rows, lines) for key, rows in grouped(results.runs, across).items()}
    panels = {title: panel for title, panel in found.items() if panel is not None}
    if not panels:
        raise InvalidArgument(NO_LENGTH)
    return plots.plot_length_grid(panels)


def _panel(results: SweepResults, rows: Sequence[int], lines: Sequence[str]) -> plots.Panel | None:
    """Return the accuracies of some runs by length, by the settings of each line; None without common lengths."""
    accuracy, lengths = results.by_length(rows)
    if not len(lengths):
        return None
    curves, places = {}, {row: place for place, row in enumerate(rows)}
    for key, members in grouped(results.runs, lines).items():
        runs = accuracy[[places[row] for row in members if row in places]]
        if len(known := runs[~np.isnan(runs).any(axis=1)]):
            curves[_label(lines, key)] = known
    longest = {results.runs["longest"][row] for row in rows} - {None}
    trained = longest.pop() if len(longest) == 1 else None
    points = [results.point(results.runs["run"][row]) for row in rows]
    return plots.Panel(lengths, curves, trained, *_levels(results, points, lengths)) if curves else None


@draws(SweepResults)
def plot_setting(
    results: SweepResults,
    *,
    name: str,
    metric: str | None = None,
    by: str | Iterable[str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a metric against one setting, such as ``"optimizer.learning_rate"``: a dot per run, and lines of means."""
    (setting,) = results.setting_names(name)
    names = results.setting_names(by)
    lines = _few(results, (other for other in names if other != setting)) if by is None else names
    keys = zip(*(results.runs[line] for line in lines), strict=True)
    groups = [_label(lines, key) for key in keys] if lines else None
    metric = checked_metric(results.study, metric)
    labels = {"name": short(setting), "outcome_name": metrics(results.study)[metric].heading}
    return plots.plot_setting(results.runs[setting], _outcomes(results, metric), groups, **labels, ax=ax)


@draws(SweepResults)
def plot_parallel(results: SweepResults, *, metric: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw every run as a line through the values of all varying settings to its metric."""
    metric = checked_metric(results.study, metric)
    if not results.varied:
        raise InvalidArgument("there is nothing to draw: no setting varies")
    settings = {short(name): results.runs[name] for name in results.varied}
    return plots.plot_parallel(settings, _outcomes(results, metric), outcome_name=word_for(metric), ax=ax)


def _titles(results: SweepResults, across: Sequence[str]) -> dict[tuple[Any, ...], str]:
    """Return the title of each panel: the settings, or the names of the tasks if these are plain numbers."""
    groups = grouped(results.runs, across)
    labels = {key: _label(across, key) for key in groups}
    if results.study.has_files or any(isinstance(value, str) for key in groups for value in key):
        return labels
    names = {key: results.point(results.runs["run"][rows[0]]).experiment.source.title for key, rows in groups.items()}
    return names if len(set(names.values())) == len(names) else labels


def _levels(
    results: SweepResults, points: Iterable[Point], lengths: NDArray[np.int64]
) -> tuple[NDArray[np.float64] | None, float | None]:
    """Return the base rate at each length, and the accuracy of guessing, if they are the same for these runs."""
    if results.study.has_files:
        return None, None
    tasks = {point.experiment.source.settings for point in points}
    levels = {_guessed(recognition_of(task.make())) for task in tasks}
    rates = base_rates_of(tasks.pop(), tuple(lengths.tolist())) if len(tasks) == 1 else None
    return rates, levels.pop() if len(levels) == 1 else None


def _guessed(task: Any) -> float:
    """Return the accuracy of guessing in a test of a task."""
    return guessed(task.sample(1, np.random.default_rng(0)).kind, task.dim_output)


def _few(results: SweepResults, names: Iterable[str]) -> tuple[str, ...]:
    """Return as many of the settings, from the first on, as define only a few groups."""
    kept: tuple[str, ...] = ()
    for name in names:
        if len(grouped(results.runs, (*kept, name))) > MOST_LINES:
            break
        kept = (*kept, name)
    return kept


def _outcomes(results: SweepResults, metric: str) -> NDArray[np.float64]:
    """Return a metric of all runs, NaN for missing values."""
    return np.array([np.nan if value is None else value for value in results.runs[metric]], dtype=np.float64)


def _label(names: Sequence[str], values: Sequence[Any]) -> str:
    """Return a group's name for a legend."""
    pairs = [(name, value) for name, value in zip(names, values, strict=True) if value is not None]
    words = (value if isinstance(value, str) else f"{short(name)} {cell(value) or value}" for name, value in pairs)
    return ", ".join(words) or "all runs"

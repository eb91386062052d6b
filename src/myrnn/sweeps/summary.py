"""The summary of a study for papers: short and long sequences, intervals over seeds, and shortcuts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import numpy as np

from myrnn.errors import InvalidArgument
from myrnn.evaluation import ShortcutReport
from myrnn.evaluation import shortcuts as shortcuts_of
from myrnn.evaluation.evaluate import base_rates
from myrnn.experiment import Experiment, TaskSource
from myrnn.experiment.sources import Source
from myrnn.intervals import student_interval
from myrnn.results import Shown, Table, rounded, share
from myrnn.runs.reports import tested_lengths
from myrnn.tasks import recognition_of

# The compared accuracies, with their headings: on trained lengths and on longer ones.
SPANS = {"accuracy": "trained", "beyond": "beyond"}
# Sequences for the shortcuts of a task. Half of them are used for fitting.
SHORTCUT_SAMPLES = 20_000
# The level of all intervals in the tables of a study.
CONFIDENCE = 0.95


def columns_of(values: Sequence[float], name: str) -> dict[str, Any]:
    """Return the mean accuracy of runs, its interval over the runs, and the lowest and the highest run."""
    # The interval is that of Student's t distribution, clipped to possible accuracies. A single run has none.
    ends = ("_low", "_high", "_lowest", "_highest")
    if not values:
        return {name: None, **{f"{name}{end}": None for end in ends}}
    mean, low, high = float(np.mean(values)), None, None
    if len(values) > 1:
        error = np.std(values, ddof=1) / np.sqrt(len(values))
        low, high = (rounded(end) for end in student_interval(mean, error, len(values), CONFIDENCE).clip(0, 1).tolist())
    return {
        name: rounded(mean),
        **dict(zip((f"{name}{end}" for end in ends), (low, high, min(values), max(values)), strict=True)),
    }


def best_shortcuts(experiments: Iterable[Experiment], longest: Iterable[int | None]) -> dict[str, Any]:
    """Return base rate and best shortcut on trained lengths and beyond; None if the runs differ in their task.

    The longest length that a training drew may differ from seed to seed. Like the accuracies beside them, the shares
    are then means over the runs, each on its own lengths.
    """
    names = [f"{kind}_{span}" for span in SPANS for kind in ("base_rate", "shortcut")]
    found: dict[str, Any] = {**dict.fromkeys(names), **{f"shortcut_{span}_name": None for span in SPANS}}
    asked = {(experiment.source, experiment.evaluation.lengths) for experiment in experiments}
    if len(asked) != 1:
        return found
    ((source, lengths),) = asked
    runs = [_best(source, lengths, length) for length in longest if length is not None]
    for name in names:
        if shares := [run[name] for run in runs if name in run]:
            found[name] = rounded(float(np.mean(shares)))
    for span in SPANS:
        used = dict.fromkeys(run[f"shortcut_{span}_name"] for run in runs if f"shortcut_{span}_name" in run)
        found[f"shortcut_{span}_name"] = " or ".join(used) or None
    return found


@cache
def _best(source: Source, lengths: tuple[int, ...] | None, trained: int) -> dict[str, Any]:
    """Return base rate and best shortcut for a training whose longest length is `trained`."""
    task = recognition_of(source.part.make()) if isinstance(source, TaskSource) else None
    if task is None:
        return {}
    asked = tested_lengths(task, lengths)
    found: dict[str, Any] = {}
    rates = base_rates_of(source.settings, tuple(asked.tolist()))
    for name, chosen in (("accuracy", asked <= trained), ("beyond", asked > trained)):
        if rates is not None and chosen.any():
            found[f"base_rate_{name}"] = float(rates[chosen].mean())
    reports = None if getattr(task, "per_step", False) else _shortcuts(source.settings, tuple(asked.tolist()))
    if reports is None:
        return found
    choice, report = reports
    for name, chosen in (("accuracy", report.lengths <= trained), ("beyond", report.lengths > trained)):
        if chosen.any():
            chosen_by = choice.only(report.lengths[chosen]).overall
            best = max(chosen_by, key=lambda shortcut: chosen_by[shortcut])
            overall = report.only(report.lengths[chosen]).overall
            found |= {f"shortcut_{name}": overall[best], f"shortcut_{name}_name": best}
    return found


@cache
def _shortcuts(settings: Any, lengths: tuple[int, ...]) -> tuple[ShortcutReport, ShortcutReport] | None:
    """Return the shortcuts of a task to choose the best one by, and to score it; None if its sequences are features."""
    task, asked = recognition_of(settings.make()), np.asarray(lengths)
    try:
        # The best one is chosen on other strings than those on which it is scored.
        choice = shortcuts_of(task, SHORTCUT_SAMPLES // 4, seed=2, lengths=asked)
        return choice, shortcuts_of(task, SHORTCUT_SAMPLES, lengths=asked)
    except InvalidArgument:
        return None


@cache
def base_rates_of(settings: Any, lengths: tuple[int, ...]) -> Any:
    """Return the base rate of a task at each of some lengths, float64 (L,), or None if its targets are not classes."""
    task = recognition_of(settings.make())
    asked = np.repeat(lengths, max(SHORTCUT_SAMPLES // len(lengths), 1))
    try:
        drawn, rates = base_rates(task.sample_lengths(asked, np.random.default_rng(1)))
    except InvalidArgument:
        return None
    return rates[np.searchsorted(drawn, lengths)]


def table_of(title: str, heads: Sequence[Shown], rows: Sequence[dict[str, Any]], note: str = "") -> Table:
    """Return the table of such rows, which begin with the `heads` of a group; `note` stands below it."""
    shown: list[Shown] = [*heads]
    for name, heading in SPANS.items():
        shown += [_mean(name, heading), share(f"{name}_lowest", "lowest"), share(f"{name}_highest", "highest")]
        if any(row[f"base_rate_{name}"] is not None for row in rows):
            shown.append(share(f"base_rate_{name}", "base rate"))
        if any(row[f"shortcut_{name}"] is not None for row in rows):
            shown.append(share(f"shortcut_{name}", "shortcut"))
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    caption = f"in brackets: {CONFIDENCE:.0%} intervals of means over runs"
    return Table(title, columns, tuple(shown), caption="; ".join(filter(None, (caption, note))))


def _mean(name: str, heading: str) -> Shown:
    ends = f"{name}_low", f"{name}_high"
    with_interval, alone = share(name, heading, ends), share(name, heading)
    return Shown(heading, lambda row: (alone if row[ends[0]] is None else with_interval).cell(row))

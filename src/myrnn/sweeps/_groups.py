"""Runs that differ in nothing but their seeds and draws, taken together."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.sweeps._run import FAILED
from myrnn.sweeps._table import FOUND, METRICS, Columns

# They make runs differ by chance alone.
SEEDS = ("training.seed",)


def is_better(metric: str, one: float, other: float) -> bool:
    """Return whether one value of a metric is better than another."""
    return one < other if metric == "loss" else one > other


def setting_columns(columns: Columns) -> tuple[str, ...]:
    """Return the columns that say what a run was: its variant and its settings."""
    return tuple(name for name in columns if name != "run" and name not in FOUND)


def telling_columns(columns: Columns, without: Collection[str] = ()) -> tuple[str, ...]:
    """Return the fewest settings that tell runs apart, from left to right; those of `without` are left out.

    What follows from the settings before it tells nothing: the activation of a network whose variant is known.
    """
    kept: list[str] = []
    count = 1
    for name in setting_columns(columns):
        if name in without:
            continue
        distinct = len(set(zip(*(columns[kept_name] for kept_name in kept), columns[name], strict=True)))
        if distinct > count:
            kept.append(name)
            count = distinct
    return tuple(kept)


def checked_names(known: Collection[str], by: str | Iterable[str]) -> tuple[str, ...]:
    """Return the names of settings that were given, or say which one is none of the known ones."""
    names = (by,) if isinstance(by, str) else tuple(by)
    for name in names:
        _checks.one_of("a setting of the sweep", name, known)
    return names


def checked_metric(metric: str) -> str:
    """Return the name of a metric, or say that it is none."""
    return _checks.one_of("metric", metric, METRICS)


def grouped(columns: Columns, by: Sequence[str]) -> dict[tuple[Any, ...], list[int]]:
    """Return the rows of each group, under the values of its settings, in the order of the table."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    for row in range(len(columns["run"])):
        groups.setdefault(tuple(columns[name][row] for name in by), []).append(row)
    return groups


def summarize_groups(columns: Columns, by: Sequence[str], metric: str) -> list[dict[str, Any]]:
    """Return a record a group: its settings, how many runs it has and how many failed, and the metric over the others.

    ``mean``; ``spread``, the standard deviation from run to run; ``low`` and ``high``; and ``best``, the run that is
    best. What there is not is None.
    """
    if not columns["run"]:
        raise InvalidArgument("the sweep has no results yet")
    records = []
    for key, rows in grouped(columns, by).items():
        known = [row for row in rows if columns[metric][row] is not None]
        values = [columns[metric][row] for row in known]
        best = best_row(columns, known, metric)
        records.append(
            {
                **dict(zip(by, key, strict=True)),
                "runs": len(rows),
                "failed": sum(columns["status"][row] == FAILED for row in rows),
                "mean": statistics.fmean(values) if values else None,
                "spread": statistics.stdev(values) if len(values) > 1 else None,
                "low": min(values, default=None),
                "high": max(values, default=None),
                "best": None if best is None else columns["run"][best],
            }
        )
    return records


def best_row(columns: Columns, rows: Iterable[int], metric: str) -> int | None:
    """Return the row with the best value of the metric, the first of several; None where no row has one."""
    best: int | None = None
    for row in rows:
        value = columns[metric][row]
        if value is not None and (best is None or is_better(metric, value, columns[metric][best])):
            best = row
    return best


def short(name: str) -> str:
    """Return a setting's name without its section; both where that says what the section's own name is."""
    section, _, setting = name.partition(".")
    return section if setting in ("", "name") else setting

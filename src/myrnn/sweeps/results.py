"""The results of a sweep in the order of its study: a row per run, a row per run and length, and groups of runs."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.learning_curve import word_for
from myrnn.results import Result, Shown, Table, integer, rounded
from myrnn.sweeps.metrics import check_has_lengths, checked_metric, main_score, metrics, values_of
from myrnn.sweeps.run import Done, Failed, Record, TestScores, is_divergence
from myrnn.sweeps.study import Point, Study
from myrnn.sweeps.summary import SPANS, best_shortcuts, columns_of, table_of

# Settings that only change the random numbers.
SEEDS = ("training.seed",)
# Columns besides the settings and the metrics, with their types.
FOUND: dict[str, type] = {
    "status": str,
    "error": str,
    "engine": str,
    "parameters": int,
    "longest": int,
    "not_finite": int,
}

Columns = Mapping[str, Sequence[Any]]


@dataclass(frozen=True, repr=False, eq=False)
class SweepResults(Result):
    """The results of a sweep, in the order of its study.

    `plot` draws four figures. ``plot("lengths", by=None, ax=None)``: accuracy by length, a line for the mean of each
    group and a band from its lowest run to its highest. ``plot("grid", by=None)``: the same with a panel for each task
    or file. ``plot("setting", name=..., metric=None, by=None, ax=None)``: a metric against one setting, such as
    ``"optimizer.learning_rate"``, a dot per run and lines of means. ``plot("parallel", metric=None, ax=None)``:
    every run as a line through the values of all varying settings to its metric. `by` and `metric` are as for `groups`;
    by default the groups are those of the varying settings, as long as there are few lines.

    Attributes
    ----------
    folder : Path
    study : Study
    runs : mapping of str to list
        The columns of ``results.csv``: ``run``, ``variant``, every setting (``model.dim_recurrent``), and the results:
        ``status`` (``"done"`` or ``"failed"``), ``error``, ``engine``, ``parameters``, ``longest`` (the longest length
        in the training), ``not_finite`` (the number of sequences, or steps, with scores that are not finite: they count
        as wrong), ``loss`` (of the last report), ``accuracy`` (on the trained lengths), ``worst`` (on the worst of
        these lengths) and ``beyond`` (on longer ones). For runs on data the metrics of `groups`. Missing values are
        None.
    lengths : mapping of str to list
        The columns of ``lengths.csv``: ``run``, ``length``, ``total`` and ``correct``, the number of tested and of
        correct sequences of a length.
    damaged : int
        The number of damaged lines in the folder, if runs are missing; what they say is left out.
    tests : mapping of str to list
        The columns of ``tests.csv`` for runs on data: a row per run and test, with the settings that distinguish the
        runs, ``test``, ``total`` (of sequences, steps or rows), ``correct`` if classes or symbols are predicted, and
        the scores of the report with the ends of their intervals, such as ``accuracy_low``.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from myrnn import sweep
    >>> short = {"training": {"iterations": 10, "engine": "mygrad"}, "evaluation": {"samples": 40}}
    >>> study = {"name": "small", "task": {"pattern_length_max": 2}, "model": {"dim_recurrent": [2, 4]}, **short}
    >>> with TemporaryDirectory() as folder:
    ...     results = sweep(study, Path(folder, "small"), jobs=1, progress=False)
    >>> [(group["model.dim_recurrent"], group["runs"]) for group in results.groups()]
    [(2, 1), (4, 1)]
    >>> results.best()["run"] in results.runs["run"], results.summary().columns["runs"]
    (True, [1, 1])
    """

    folder: Path
    study: Study
    runs: Columns
    lengths: Columns
    tests: Columns
    damaged: int = 0

    @classmethod
    def of(cls, folder: Path, study: Study, records: Mapping[str, Record], damaged: int = 0) -> SweepResults:
        """Return the results of all runs of the study that are done or failed."""
        runs: dict[str, list[Any]] = {name: [] for name in ("run", *study.settings, *found_columns(study))}
        lengths: dict[str, list[Any]] = {name: [] for name in ("run", "length", "total", "correct")}
        tested: list[tuple[int, str, TestScores]] = []
        for point in study.points:
            record = records.get(point.run)
            if record is None:
                continue
            row = {"run": point.run, "variant": point.variant, **point.settings, **_found(study, record)}
            for name, column in runs.items():
                column.append(row.get(name))
            if isinstance(record, Done):
                tested.extend((len(runs["run"]) - 1, name, test) for name, test in record.tests.items())
                lengths["run"].extend([point.run] * len(record.lengths))
                lengths["length"].extend(record.lengths)
                lengths["total"].extend(record.total)
                lengths["correct"].extend(record.correct)
        telling = ("run", *_telling(runs, study.settings))
        tests = {name: [runs[name][row] for row, _, _ in tested] for name in telling}
        tests["test"] = [name for _, name, _ in tested]
        tests["total"] = [test.total for *_, test in tested]
        if any(test.correct is not None for *_, test in tested):
            tests["correct"] = [test.correct for *_, test in tested]
        for name in dict.fromkeys(score for *_, test in tested for score in test.scores):
            tests[name] = [test.scores.get(name) for *_, test in tested]
        is_whole = len(runs["run"]) == len(study.points)
        return cls(folder, study, runs, lengths, tests, 0 if is_whole else damaged)

    def __len__(self) -> int:
        """Return the number of runs that are done or failed."""
        return len(self.runs["run"])

    def __repr__(self) -> str:
        """Show the progress and the best results."""
        metric, best = checked_metric(self.study, None), self.best()
        ending = "" if best is None else f", best {metric} {metrics(self.study)[metric].text(best[metric])}"
        return (
            f"SweepResults({self.study.name}: {len(self):,} of {_checks.count_of(self.planned, 'run')}, "
            f"{self.failed:,} failed{ending}{self._left_out and ', '}{self._left_out})"
        )

    @property
    def _left_out(self) -> str:
        return f"{_checks.count_of(self.damaged, 'damaged line')} left out" if self.damaged else ""

    @property
    def planned(self) -> int:
        """The number of runs in the study."""
        return len(self.study.points)

    @property
    def failed(self) -> int:
        """The number of failed runs."""
        return self.runs["status"].count("failed")

    @property
    def diverged(self) -> int:
        """The number of failed runs whose training diverged; they are not repeated."""
        return sum(error is not None and is_divergence(error) for error in self.runs["error"])

    @property
    def fallbacks(self) -> int:
        """The number of runs that fell back to op by op although native code was allowed."""
        asked = self.runs["training.engine"]
        return sum(a == "auto" and done == "mygrad" for a, done in zip(asked, self.runs["engine"], strict=True))

    @property
    def not_finite(self) -> int:
        """The number of sequences, or steps, in all runs with scores that are not finite; they count as wrong."""
        return sum(count or 0 for count in self.runs["not_finite"])

    def best(self, metric: str | None = None) -> dict[str, Any] | None:
        """Return the row of the best run by a metric, or None."""
        row = self._best_row(range(len(self)), checked_metric(self.study, metric))
        return None if row is None else {name: column[row] for name, column in self.runs.items()}

    def point(self, run: str) -> Point:
        """Return a run with all its settings, by its name in the tables."""
        for point in self.study.points:
            if point.run == run:
                return point
        raise InvalidArgument(f"the sweep has no run {_checks.shown(run)}")

    def groups(self, by: str | Iterable[str] | None = None, metric: str | None = None) -> list[dict[str, Any]]:
        """Return a record per group of runs: mean, spread and best of a metric.

        Parameters
        ----------
        by : str or iterable of str, optional
            The settings that the runs of a group share, such as ``"model.dim_recurrent"``; by default all that vary,
            except seeds and settings drawn at random.
        metric : {"accuracy", "worst", "beyond", "loss"}, optional
            The quantity to compare: accuracy on the trained lengths, on the worst of them, on longer ones, or the final
            loss. For runs on data the scores of what they learn, in all tests together (labels and tags:
            ``"accuracy"``; text: ``"bits_per_symbol"``, ``"accuracy"``; numbers and series: ``"rmse"``, ``"mae"``); the
            first of them in the ``"worst"`` test and in each test, as ``"test.NAME"``; for labels ``"beyond"``; the
            score of the ``"validation"``, ``"validation_loss"`` and ``"loss"``. By default the first, or without tests
            the validation.

        Returns
        -------
        list of dict
            The settings; ``runs``, ``failed``; ``mean``, ``spread`` (standard deviation), ``low``, ``high``; ``best``,
            the run. Missing values are None.
        """
        metric, records = checked_metric(self.study, metric), []
        for group, rows in self._groups(by):
            values, best = self._known(rows, metric), self._best_row(rows, metric)
            measured = {
                "mean": rounded(statistics.fmean(values)) if values else None,
                "spread": rounded(statistics.stdev(values)) if len(values) > 1 else None,
                "low": min(values, default=None),
                "high": max(values, default=None),
                "best": None if best is None else self.runs["run"][best],
            }
            records.append({**group, **measured})
        return records

    def _groups(self, by: str | Iterable[str] | None) -> list[tuple[dict[str, Any], list[int]]]:
        """Return the settings that each group shares and the numbers of its runs, and its rows."""
        names, found = self.setting_names(by), []
        if not len(self):
            raise InvalidArgument("the sweep has no results yet")
        for key, rows in grouped(self.runs, names).items():
            failed = sum(self.runs["status"][row] == "failed" for row in rows)
            found.append(({**dict(zip(names, key, strict=True)), "runs": len(rows), "failed": failed}, rows))
        return found

    def _best_row(self, rows: Iterable[int], metric: str) -> int | None:
        """Return the row with the best value of the metric, the first of several, or None."""
        measure, values, best = metrics(self.study)[metric], self.runs[metric], None
        for row in rows:
            if values[row] is not None and (best is None or measure.is_better(values[row], values[best])):
                best = row
        return best

    def _known(self, rows: Iterable[int], metric: str) -> list[Any]:
        """Return the values of a metric that some runs have."""
        return [value for row in rows if (value := self.runs[metric][row]) is not None]

    def table(self, by: str | Iterable[str] | None = None, metric: str | None = None) -> Table:
        """Return the groups as a table; by the score in all tests of runs on data, also with its mean in each test."""
        by, metric = self.setting_names(by), checked_metric(self.study, metric)
        records, measure = self.groups(by, metric), metrics(self.study)[metric]
        columns = {name: [record[name] for record in records] for name in records[0]}
        settings = heads_of(by, records)
        if not by:
            settings.insert(0, Shown("study", lambda row: self.study.name, is_number=False))
        tests = [f"test.{name}" for name in self.study.tests] if metric == main_score(self.study) else []
        for name in tests:
            columns[name] = [group["mean"] for group in self.groups(by, name)]
        title = f"{self.study.name}: {word_for(metric)}" + (", %" if measure.form is None else "")
        of_tests = (measure.shown(name, short(name)) for name in tests)
        shown = (*settings, *of_tests, *(measure.shown(name) for name in ("mean", "spread", "low", "high")))
        return Table(title, columns, shown, caption=self._left_out or None)

    def summary(self, by: str | Iterable[str] | None = None) -> Table:
        """Return the groups as printed in papers: accuracy on the trained lengths and beyond, with shortcuts.

        Parameters
        ----------
        by : str or iterable of str, optional
            As for `groups`.

        Returns
        -------
        Table
            The settings, ``runs`` and ``failed``. For ``accuracy`` and ``beyond`` the mean over the runs, its interval
            (``_low``, ``_high``; Student's t, for at least two runs), the lowest and the highest run (``_lowest``,
            ``_highest``), and the accuracy of the best of `myrnn.shortcuts` on the same task and lengths
            (``shortcut_accuracy``), with its name (``shortcut_accuracy_name``), and the base rate
            (``base_rate_accuracy``): the accuracy of always giving the most frequent class of the length. Where the
            trainings of a group reached different lengths, these two are means over the runs, too. Shortcuts are None
            for tasks with an answer at each step. They and base rates are None for files and for groups of several
            tasks.
        """
        check_has_lengths(self.study, "a summary")
        by = self.setting_names(by)
        points, records = {point.run: point.experiment for point in self.study.points}, []
        for group, rows in self._groups(by):
            spans: dict[str, Any] = {}
            for name in SPANS:
                spans |= columns_of(self._known(rows, name), name)
            experiments = [points[self.runs["run"][row]] for row in rows]
            shortcuts = best_shortcuts(experiments, [self.runs["longest"][row] for row in rows])
            records.append({**group, **spans, **shortcuts})
        return table_of(f"{self.study.name}: accuracy, %", heads_of(by, records), records, self._left_out)

    @property
    def varied(self) -> tuple[str, ...]:
        """The settings that distinguish the runs, without seeds."""
        drawn = (name for name in self.study.settings if name in self.study.drawn)
        return (*self.setting_names(None), *(name for name in drawn if len(set(self.runs[name])) > 1))

    def setting_names(self, by: str | Iterable[str] | None = None) -> tuple[str, ...]:
        """Return the given names of settings, checked, or those that distinguish the groups."""
        if by is None:
            chance = {*SEEDS, *self.study.drawn}
            return _telling(self.runs, [name for name in self.study.settings if name not in chance])
        return checked_names(self.study.settings, by)

    def by_length(self, chosen: Sequence[int]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return the accuracies of runs, by their rows, at their common lengths (L,): float64 (R, L), NaN for none."""
        rows = {self.runs["run"][row]: place for place, row in enumerate(chosen)}
        mine = [place for place, run in enumerate(self.lengths["run"]) if run in rows]
        values = {name: [self.lengths[name][place] for place in mine] for name in self.lengths}
        lengths, places = np.unique(np.asarray(values["length"], dtype=np.int64), return_inverse=True)
        accuracy = np.full((len(rows), len(lengths)), np.nan)
        owner = np.array([rows[run] for run in values["run"]], dtype=np.intp)
        accuracy[owner, places] = np.asarray(values["correct"]) / np.asarray(values["total"])
        done = ~np.isnan(accuracy).all(axis=1)
        shared = ~np.isnan(accuracy[done]).any(axis=0)
        return accuracy[:, shared], lengths[shared]


def checked_names(known: Collection[str], by: str | Iterable[str]) -> tuple[str, ...]:
    """Return the given names of settings, or raise an error for an unknown one."""
    names = (by,) if isinstance(by, str) else tuple(by)
    for name in names:
        _checks.one_of("a setting of the sweep", name, known)
    return names


def found_columns(study: Study) -> dict[str, type]:
    """Return the result columns besides the settings of a run, with their types."""
    return {**FOUND, **dict.fromkeys(("loss", *metrics(study)), float)}


def grouped(columns: Columns, by: Sequence[str]) -> dict[tuple[Any, ...], list[int]]:
    """Return the rows of each group, by the values of its settings, in the order of the table."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    for row in range(len(columns["run"])):
        groups.setdefault(tuple(columns[name][row] for name in by), []).append(row)
    return groups


def short(name: str) -> str:
    """Return a setting's name without its section; for ``"model.name"`` the section."""
    section, _, setting = name.partition(".")
    return section if setting in ("", "name") else setting


def _found(study: Study, record: Record) -> dict[str, Any]:
    if isinstance(record, Failed):
        return {"status": "failed", "error": record.error}
    found = {name: getattr(record, name) for name in ("engine", "parameters", "longest", "not_finite")}
    return {"status": "done", **found, **values_of(study, record)}


def _telling(columns: Columns, names: Iterable[str]) -> tuple[str, ...]:
    """Return the fewest of these settings that distinguish the runs, from left to right."""
    # A setting that follows from those before it is redundant: for example, the activation if the variant is known.
    kept: list[str] = []
    count = 1
    for name in names:
        distinct = len(set(zip(*(columns[kept_name] for kept_name in kept), columns[name], strict=True)))
        if distinct > count:
            kept.append(name)
            count = distinct
    return tuple(kept)


def cell(value: Any) -> str:
    """Return the value of a setting without insignificant digits."""
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def heads_of(names: Iterable[str], records: Sequence[dict[str, Any]]) -> list[Shown]:
    """Return how the settings of groups, and the numbers of their runs, are displayed: numbers are right-aligned."""

    def setting(name: str) -> Shown:
        is_number = not any(isinstance(record[name], str) for record in records)
        return Shown(short(name), lambda row: cell(row[name]), is_number)

    failed = [integer("failed")] if any(record["failed"] for record in records) else []
    return [*map(setting, names), integer("runs"), *failed]

"""Two runs side by side: differences in settings, weights and accuracy."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn import _checks, plots
from myrnn.data.targets import LABELS
from myrnn.errors import InvalidArgument
from myrnn.evaluation import Buckets, Comparison, LengthReport
from myrnn.evaluation.comparison import difference_table
from myrnn.evaluation.scores import SHARES, Scores, read_scores, written
from myrnn.learning_curve import LearningCurve
from myrnn.results import Result, Row, Shown, Table, draws, flat, text
from myrnn.runs.folder import REPORT, RUN, WEIGHTS, parse_source
from myrnn.runs.reader import TASK_TEST
from myrnn.runs.saved import parse_history

# Parts of an index that are not settings: those of the file, and the outputs of a user-defined model.
NO_SETTINGS = ("format", "format_version", "sha256", "files", "created")
LOGITS = "model.logits"


@dataclass(frozen=True, eq=False, repr=False)
class ComparedRun:
    """The parts of a run that a comparison needs. The model is not rebuilt, so it may be of any class.

    Attributes
    ----------
    settings : dict of str to Any
        All settings under dotted names, such as ``"model.dim_recurrent"``.
    weights : dict of str to ndarray
    curve : LearningCurve
    tests : dict of str to LengthReport, Buckets, or dict of str to Estimate
        The results of each test by name. Of a run on a task, accuracy by length, under the name ``"task"``. Of a run on
        data that learned labels, accuracy by groups of lengths; if it learned something else, its scores.

    Examples
    --------
    >>> import numpy as np
    >>> from myrnn.learning_curve import LearningCurve
    >>> curve = LearningCurve(np.array([100, 200]), np.array([0.7, 0.4]), np.array([0.5, 0.8]))
    >>> compared = ComparedRun({"model.dim_recurrent": 8}, {"fc_h2h.weight": np.zeros((8, 8))}, curve)
    >>> compared.unit, compared.settings
    ('iterations', {'model.dim_recurrent': 8})
    """

    settings: dict[str, Any]
    weights: dict[str, NDArray[Any]]
    curve: LearningCurve
    tests: Mapping[str, LengthReport | Buckets | Scores] = field(default_factory=dict)

    @property
    def unit(self) -> str:
        """The unit of `curve`: ``"iterations"`` or ``"epochs"``."""
        return f"{self.curve.unit}s"

    def __repr__(self) -> str:
        """Return the number of settings and of weights, and the learning curve."""
        settings = _checks.count_of(len(self.settings), "setting")
        weights = _checks.count_of(sum(array.size for array in self.weights.values()), "weight")
        return f"ComparedRun({settings}, {weights}, {self.curve!r})"


@dataclass(frozen=True, repr=False, eq=False)
class RunComparison(Result):
    """The differences between two runs.

    Attributes
    ----------
    first, second : ComparedRun
    names : two strings

    Examples
    --------
    >>> import numpy as np
    >>> from myrnn.runs import ComparedRun
    >>> from myrnn.learning_curve import LearningCurve
    >>> curve = LearningCurve(np.array([100, 200]), np.array([0.7, 0.4]), np.array([0.5, 0.8]))
    >>> first = ComparedRun({"training.seed": 0}, {"fc_h2h.weight": np.zeros((8, 8))}, curve)
    >>> second = ComparedRun({"training.seed": 1}, {"fc_h2h.weight": np.full((8, 8), 0.5)}, curve)
    >>> comparison = RunComparison(first, second, ("seed 0", "seed 1"))
    >>> comparison
    RunComparison(seed 0 and seed 1: 1 setting differs, weights up to 0.5 apart)
    >>> comparison.settings, comparison.common_reports
    ({'training.seed': (0, 1)}, 2)
    """

    first: ComparedRun
    second: ComparedRun
    names: tuple[str, str]

    @property
    def settings(self) -> dict[str, tuple[Any, Any]]:
        """The settings that differ, by names such as ``"model.dim_recurrent"``; None for a setting that a run lacks."""
        one, other = self.first.settings, self.second.settings
        pairs = {name: (one.get(name), other.get(name)) for name in {**one, **other}}
        # Compare types too: True equals 1.
        return {name: (a, b) for name, (a, b) in pairs.items() if type(a) is not type(b) or a != b}

    @property
    def weight_distance(self) -> float | None:
        """The largest difference between corresponding weights; 0 if all are equal.

        None if the two have different shapes.
        """
        one, other = self.first.weights, self.second.weights
        if {name: array.shape for name, array in one.items()} != {name: array.shape for name, array in other.items()}:
            return None
        return max((_distance(one[name], other[name]) for name in one), default=0.0)

    @property
    def common_reports(self) -> int:
        """The number of initial points of the learning curves that are equal, bit for bit."""
        one, other = self.first.curve.columns, self.second.curve.columns
        pairs = [(one[name], other[name]) for name in one if name in other]
        length = min(len(column) for pair in pairs for column in pair)
        apart = np.any([before[:length] != after[:length] for before, after in pairs], axis=0)
        return int(apart.argmax()) if apart.any() else length

    @property
    def accuracy(self) -> Comparison | None:
        """The difference of accuracy at every length that both were tested on, or None.

        Each was tested on the sequences of its own task. For a run on data, see `table`.
        """
        one, other = (run.tests.get(TASK_TEST) for run in (self.first, self.second))
        if not isinstance(one, LengthReport) or not isinstance(other, LengthReport):
            return None
        return one.compare(other, self.names) if len(np.intersect1d(one.lengths, other.lengths)) else None

    def __repr__(self) -> str:
        """Say how much differs."""
        count = _checks.count_of(len(self.settings), "setting")
        differ = f"{count} differ{'s' * (len(self.settings) == 1)}, weights {self.describe_weights()}"
        return f"RunComparison({self.names[0]} and {self.names[1]}: {differ})"

    def describe_weights(self) -> str:
        """Describe in words how the weights of the two differ."""
        apart = self.weight_distance
        if apart is None:
            return "of different shapes"
        return f"up to {apart:.3g} apart" if apart else "the same"

    def settings_table(self) -> Table:
        """Return the settings that differ: setting, first and second."""
        pairs = self.settings.values()
        columns = {
            "setting": list(self.settings),
            "first": [one for one, _ in pairs],
            "second": [other for _, other in pairs],
        }
        names = zip(columns, ("setting", *self.names), strict=True)
        return Table("Settings that differ", columns, [_shown(name, heading) for name, heading in names])

    def table(self) -> Table:
        """Return the accuracies of both, and their differences with intervals; empty if they were not tested.

        For runs on tasks, by length. For runs on data, in every test that both have; if each has only one test, over
        all of it, and by length if both have the same groups of lengths. For runs that did not learn labels, the scores
        that both have.
        """
        comparison = self.accuracy
        if comparison is not None:
            return comparison.table()
        tests, others = self.first.tests, self.second.tests
        both = [(name, tests[name], others[name]) for name in tests if name in others]
        if len(tests) == len(others) == 1:
            both = [("", next(iter(tests.values())), next(iter(others.values())))]
        buckets = [(n, one, other) for n, one, other in both if isinstance(one, Buckets) and isinstance(other, Buckets)]
        scores = [(n, one, other) for n, one, other in both if isinstance(one, dict) and isinstance(other, dict)]
        return self._score_table(scores) if scores else self._bucket_table(buckets)

    def _bucket_table(self, both: Sequence[tuple[str, Buckets, Buckets]]) -> Table:
        """Return the accuracies in tests that both have, by name; the only test of each is nameless."""
        rows: list[tuple[str, tuple[Any, ...]]] = []
        alone = [name for name, _, _ in both] == [""]
        if alone and both[0][1].names == both[0][2].names:
            _, one, other = both[0]
            by_length = zip(one.correct, one.total, other.correct, other.total, strict=True)
            rows = list(zip(one.names, by_length, strict=True))
        lengths = len(rows)
        for name, one, other in both:
            rows.append((name or "all", (one.correct.sum(), one.total.sum(), other.correct.sum(), other.total.sum())))
        confidence = next((one.confidence for _, one, _ in both), None)
        counts = np.array([row for _, row in rows], dtype=np.int64).reshape(-1, 4).T
        return difference_table(
            "Accuracy, %",
            {"length" if alone else "test": [_checks.printable(name) for name, _ in rows]},
            list(counts),
            [_checks.printable(name) for name in self.names],
            confidence,
            styles=[None] * lengths + ["bold" if name == "all" else None for name, _ in rows[lengths:]],
            breaks=frozenset({lengths - 1}),
        )

    def _score_table(self, both: Sequence[tuple[str, Scores, Scores]]) -> Table:
        """Return the scores that both have, by test; the only test of each is nameless."""
        rows = [
            {
                "test": name,
                "score": score.replace("_", " ") + (", %" if score in SHARES else ""),
                "first": written(score, *one[score]),
                "second": written(score, *other[score]),
            }
            for name, one, other in both
            for score in one
            if score in other
        ]
        columns = {name: [row[name] for row in rows] for name in ("test", "score", "first", "second")}
        shown = [*([text("test")] if any(columns["test"]) else []), text("score")]
        heads = [_shown(name, heading) for name, heading in zip(("first", "second"), self.names, strict=True)]
        return Table("Scores, with their intervals", columns, [*shown, *heads])


@draws(RunComparison)
def plot_runs(comparison: RunComparison, *, ax: Any = None) -> Any:
    """Draw accuracy by length of both runs; without it, loss and accuracy, or error, of both trainings."""
    if comparison.accuracy is not None:
        return comparison.accuracy.plot(ax=ax)
    both = {
        name: replace(run.curve, validation_loss=None, validation_score=None)
        for name, run in zip(comparison.names, (comparison.first, comparison.second), strict=True)
    }
    return plots.plot_learning_curves(both)


def compare_runs(first: str | os.PathLike[str], second: str | os.PathLike[str]) -> RunComparison:
    """Compare two run folders.

    Parameters
    ----------
    first, second : path
        Both on tasks, or both on data.

    Returns
    -------
    RunComparison

    Raises
    ------
    RunError
        When one is missing, incomplete or damaged.
    InvalidArgument
        When both are the same folder, or one is on a task and the other on data.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from myrnn import Experiment, train
    >>> from myrnn.runs import save_run
    >>> with TemporaryDirectory() as folder:
    ...     for units in (4, 8):
    ...         experiment = Experiment("twin-halves:pattern_length_max=2", f"rnn:dim_recurrent={units}")
    ...         task, model, optimizer = experiment.make()
    ...         history = train(model, task, optimizer, 20, engine="mygrad", progress=False)
    ...         path = Path(folder, f"rnn-{units}")
    ...         _ = save_run(path, task=task, model=model, optimizer=optimizer, history=history)
    ...     comparison = compare_runs(Path(folder, "rnn-4"), Path(folder, "rnn-8"))
    >>> comparison
    RunComparison(rnn-4 and rnn-8: 1 setting differs, weights of different shapes)
    >>> comparison.settings
    {'model.dim_recurrent': (4, 8)}
    """
    folders = [Path(first), Path(second)]
    names = run_names(folders)
    one, other = (_read(folder) for folder in folders)
    if one.unit != other.unit:
        task, data = (0, 1) if one.unit == "iterations" else (1, 0)
        raise InvalidArgument(
            f"{folders[task]} was trained on a task, {folders[data]} on data: there is nothing to compare"
        )
    return RunComparison(one, other, (names[0], names[1]))


def run_names(runs: Sequence[Path]) -> list[str]:
    """Return a name for each run: the name of its folder, with as many parent folders as make it unique."""
    places = [run.resolve() for run in runs]
    for place, run in zip(places, runs, strict=True):
        if places.count(place) > 1:
            raise InvalidArgument(f"{run} is given twice")
    depth = 1
    while True:
        names = ["/".join(place.parts[-depth:]) for place in places]
        if len(set(names)) == len(names):
            return names
        depth += 1


def _distance(one: NDArray[Any], other: NDArray[Any]) -> float:
    if one.dtype == other.dtype and one.tobytes() == other.tobytes():
        return 0.0
    return float(np.max(np.abs(one.astype(np.float64) - other.astype(np.float64)), initial=0.0))


def _shown(name: str, heading: str) -> Shown:
    def cell(row: Row) -> str:
        value = row[name]
        if value is None:
            return "-"
        if isinstance(value, str):
            return _checks.printable(value)
        return f"{value:,}" if type(value) is int else _checks.shown(value)

    return Shown(_checks.printable(heading), cell, is_number=False)


# --- reading


def _read(folder: Path) -> ComparedRun:
    """Read a run; raises RunError if it is incomplete or damaged."""
    stored = RUN.read(folder)
    report = stored.json(REPORT)
    with stored.using():
        source = parse_source(stored.index)
    curve = parse_history(stored, report, source)
    settings, weights = _settings_of(stored.index), stored.arrays(WEIGHTS)
    with stored.using(REPORT):
        learn = getattr(source.settings, "learn", None)
        tests = {name: _read_test(test, learn, curve.longest) for name, test in _tests(report).items()}
    return ComparedRun(settings, weights, curve, tests)


def _read_test(given: Mapping[str, Any], learn: str | None, longest: int | None) -> LengthReport | Buckets | Scores:
    """Return the results of a test, for what a run on data learned; None for a run on a task."""
    if learn is None:
        return LengthReport.from_numbers(given, longest)
    return Buckets.from_numbers(given) if learn == LABELS else read_scores(given)


def _tests(report: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the numbers of the tests of a run by name, none if it was not tested."""
    found = report.get("tests", {})
    if not isinstance(found, dict):
        raise InvalidArgument(f"tests must be an object, not {_checks.shown(found)}")
    if odd := [test for test in found.values() if not isinstance(test, dict)]:
        raise InvalidArgument(f"a test must be an object, not {_checks.shown(odd[0])}")
    return found


def _settings_of(index: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings in an index under dotted names; lists become text."""
    settings = flat({name: value for name, value in index.items() if name not in NO_SETTINGS})
    named = {name: value for name, value in settings if name != LOGITS}
    return {name: json.dumps(value) if isinstance(value, list) else value for name, value in named.items()}

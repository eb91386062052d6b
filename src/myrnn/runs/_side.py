"""One of two runs that are compared: read whole, its model not made again, so that it may be of any class."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn import _checks
from myrnn.errors import InvalidArgument
from myrnn.evaluation import LengthBuckets, LengthReport
from myrnn.runs._data import CLASSIFIER, CLASSIFIER_FOLDER, DATA_RUN, classifier_history, is_data_run
from myrnn.runs._load import parse_history
from myrnn.runs._save import REPORT, RUN, WEIGHTS
from myrnn.storage import Stored

# What an index says of itself, and not of the training.
OF_THE_FILE = ("format", "format_version", "sha256", "files", "created")
# What the settings of a model of a user-defined class hold that is no setting: it says what its weights say.
NO_SETTING = ("model.logits",)
# More sequences than can be counted in a float without loss are no count.
MOST_COUNTED = 2**53
_BUCKET = ("shortest", "longest", "total", "correct")


@dataclass(frozen=True, eq=False)
class Side:
    """What a comparison needs of a run.

    Attributes
    ----------
    unit : {"iterations", "epochs"}
        What `curve` counts.
    settings : dict of str to Any
        All settings under dotted names, such as ``"model.dim_recurrent"``.
    weights : dict of str to ndarray
    curve : dict of str to ndarray (R,)
        The unit, ``"loss"`` and ``"accuracy"`` at every report.
    lengths : LengthReport or None
        How it was tested, if it was; of a run on a task.
    buckets : LengthBuckets or None
        The same of a run on data.
    """

    unit: str
    settings: dict[str, Any]
    weights: dict[str, NDArray[Any]]
    curve: dict[str, NDArray[Any]]
    lengths: LengthReport | None = None
    buckets: LengthBuckets | None = None


def read_side(folder: Path) -> Side:
    """Read a run; raises RunError where it is not whole, or damaged."""
    return _of_data(folder) if is_data_run(folder) else _of_task(folder)


def _of_task(folder: Path) -> Side:
    stored = RUN.read(folder)
    report = stored.json(REPORT)
    history = parse_history(stored, report, None)
    evaluation = _evaluation(stored, report)
    return Side(
        "iterations",
        _flat(stored.index),
        stored.arrays(WEIGHTS),
        {"iterations": history.iteration, "loss": history.loss, "accuracy": history.accuracy},
        lengths=None if evaluation is None else _length_report(stored, evaluation, history.longest),
    )


def _of_data(folder: Path) -> Side:
    stored, classifier = DATA_RUN.read(folder), CLASSIFIER.read(folder / CLASSIFIER_FOLDER)
    report = stored.json(REPORT)
    training = report.get("training")
    data = {name: training.get(name) for name in ("sequences", "classes")} if isinstance(training, dict) else {}
    evaluation = _evaluation(stored, report)
    settings = {**stored.index, **{name: classifier.index.get(name) for name in ("cell", "settings")}, "data": data}
    return Side(
        "epochs",
        _flat(settings),
        classifier.arrays(WEIGHTS),
        {"epochs" if name == "epoch" else name: column for name, column in classifier_history(classifier).items()},
        buckets=None if evaluation is None else _buckets(stored, evaluation),
    )


def _evaluation(stored: Stored, report: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return what a report says of the test, None where there was none."""
    found = report.get("evaluation")
    if not isinstance(found, dict | None):
        stored.damaged(REPORT, f"has no valid 'evaluation': {_checks.shown(found)}")
    return found


def _length_report(stored: Stored, given: Mapping[str, Any], longest: int) -> LengthReport:
    try:
        lengths, total, correct = _counts(given.get("lengths"), ("length", "total", "correct"))
        _check_rise(lengths)
        chance = _checks.real("chance", given.get("chance"), minimum=0, below=1)
        return LengthReport(lengths, total, correct, chance, longest, _confidence(given))
    except InvalidArgument as error:
        stored.damaged(REPORT, f"cannot be used: {error}", error)


def _buckets(stored: Stored, given: Mapping[str, Any]) -> LengthBuckets:
    try:
        shortest, longest, total, correct = _counts(given.get("lengths"), _BUCKET)
        if (shortest > longest).any():
            raise InvalidArgument("'longest' must be 'shortest' at least")
        _check_rise(longest)
        return LengthBuckets(shortest, longest, total, correct, _confidence(given))
    except InvalidArgument as error:
        stored.damaged(REPORT, f"cannot be used: {error}", error)


def _counts(rows: Any, names: Sequence[str]) -> list[NDArray[np.int64]]:
    """Return columns of a list of records, of which the last two are how many were tried and how many were right."""
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise InvalidArgument("'lengths' must be a list of records")
    columns = [
        np.array(
            [_checks.integer(name, row.get(name), minimum=0, maximum=MOST_COUNTED) for row in rows], dtype=np.int64
        )
        for name in names
    ]
    if (columns[-1] > columns[-2]).any():
        raise InvalidArgument("'correct' must be 'total' at most")
    if not columns[-2].all():
        raise InvalidArgument("'total' must be 1 at least")
    return columns


def _check_rise(lengths: NDArray[np.int64]) -> None:
    if (np.diff(lengths) < 1).any():
        raise InvalidArgument("the lengths must rise")


def _confidence(given: Mapping[str, Any]) -> float:
    return _checks.real("confidence", given.get("confidence"), above=0, below=1)


def _flat(values: Mapping[str, Any], within: str = "") -> dict[str, Any]:
    """Return nested settings under dotted names; lists are text."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if f"{within}{name}" not in (*OF_THE_FILE, *NO_SETTING):
            if isinstance(value, dict):
                found |= _flat(value, f"{within}{name}.")
            else:
                found[f"{within}{name}"] = json.dumps(value) if isinstance(value, list) else value
    return found

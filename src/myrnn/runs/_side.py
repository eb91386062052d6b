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
from myrnn.results import LearningCurve
from myrnn.runs.folder import REPORT, WEIGHTS, read_folder
from myrnn.runs.load import parse_history
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
    curve : LearningCurve
    lengths : LengthReport or None
        How it was tested, if it was; of a run on a task.
    buckets : LengthBuckets or None
        The same of a run on data.
    """

    unit: str
    settings: dict[str, Any]
    weights: dict[str, NDArray[Any]]
    curve: LearningCurve
    lengths: LengthReport | None = None
    buckets: LengthBuckets | None = None


def read_side(folder: Path) -> Side:
    """Read a run; raises RunError where it is not whole, or damaged."""
    stored = read_folder(folder)
    report = stored.json(REPORT)
    history, evaluation = parse_history(stored, report, None), _evaluation(stored, report)
    on_data = "data" in stored.index
    lengths = buckets = None
    if evaluation is not None and on_data:
        buckets = _buckets(stored, evaluation)
    elif evaluation is not None:
        lengths = _length_report(stored, evaluation, history.longest)
    settings = {name: value for name, value in stored.index.items() if name != "classifier"}
    return Side(f"{history.unit}s", _flat(settings), stored.arrays(WEIGHTS), history, lengths, buckets)


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

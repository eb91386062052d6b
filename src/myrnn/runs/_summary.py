"""What a list of runs says of each: read from the folder's small files, the large ones only seen to be there."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from myrnn import _checks
from myrnn.errors import InvalidArgument, RunError
from myrnn.runs._data import CLASSIFIER, CLASSIFIER_FOLDER, DATA_RUN
from myrnn.runs._job import is_unfinished
from myrnn.runs._load import checked_settings, checked_task
from myrnn.runs._save import CHECKPOINTS, INDEX, REPORT, RUN, UNFINISHED
from myrnn.storage import Stored, is_locked
from myrnn.training import saved_iteration

STATES = ("whole", "in progress", "interrupted", "unreadable")
# Times after this, in the year 2514, are no times.
LATEST = 2.0**34
MOST_ITERATIONS = 2**63 - 1


@dataclass(frozen=True)
class RunSummary:
    """One line of a list of runs. What is not known is None.

    Attributes
    ----------
    name : str
        The folder's own.
    state : {"whole", "in progress", "interrupted", "unreadable"}
        In progress while a process is at work in the folder; interrupted where that has ended before the run was
        whole; unreadable where `fault` says what is wrong.
    task, model : str
        Such as ``"twin-halves 2-20"`` and ``"rnn 50"``.
    iterations, epochs : int
        A run on a task counts iterations, one on data epochs.
    loss, accuracy : float
        At the end, on the sequences that were learned from.
    tested : float
        The accuracy on others: on the lengths trained on, or on the data of the test.
    made : float
        When, in seconds since 1970.
    fault : str
        What is wrong with it, in one line.
    """

    name: str
    state: str
    task: str | None = None
    model: str | None = None
    iterations: int | None = None
    epochs: int | None = None
    loss: float | None = None
    accuracy: float | None = None
    tested: float | None = None
    made: float | None = None
    fault: str | None = None

    def is_sound(self) -> bool:
        """Return whether all values are of the kinds that they must be; one that another program wrote need not be."""
        texts = (self.task, self.model, self.fault)
        return (
            isinstance(self.name, str)
            and self.state in STATES
            and all(isinstance(text, str | None) for text in texts)
            and all(value == _count(value) for value in (self.iterations, self.epochs))
            and all(value == _number(value) for value in (self.loss, self.accuracy, self.tested, self.made))
            and (self.made is None or 0 <= self.made <= LATEST)
        )

    def row(self) -> dict[str, Any]:
        """Return a plain record, the time as text in the zone of this machine."""
        made = None if self.made is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.made))
        return {**self.__dict__, "made": made}


def look_at(folder: Path) -> RunSummary | None:
    """Return the summary of a folder, or None where it is no run."""
    name = folder.name
    try:
        if (folder / INDEX).exists():
            summary = _of_task(name, RUN.glance(folder, REPORT))
        elif (folder / DATA_RUN.index).exists():
            summary = _of_data(name, folder)
        else:
            return _unfinished(folder)
    except RunError as error:
        return RunSummary(name, "unreadable", fault=str(error))
    except OSError as error:
        return RunSummary(name, "unreadable", fault=f"{folder} cannot be read: {error.strerror or error}")
    # A whole run may be given further iterations.
    return replace(summary, state=_state(folder)) if is_locked(folder) or is_unfinished(folder) else summary


def _state(folder: Path) -> str:
    return "in progress" if is_locked(folder) else "interrupted"


def _unfinished(folder: Path) -> RunSummary | None:
    """Return what is to be said of a folder without an index: a run that is not whole yet, or none at all."""
    state = _state(folder)
    if is_unfinished(folder):
        stored = UNFINISHED.read(folder)
        if "data" in stored.index:
            task, model = "data", _classifier_of(_part(stored.index, "data"))
        else:
            task, model = _task_and_model(stored, UNFINISHED.index)
        done, made = saved_iteration(folder / CHECKPOINTS), _moment(stored.index.get("created"))
        return RunSummary(folder.name, state, task, model, iterations=done or None, made=made)
    if is_locked(folder) or saved_iteration(folder):
        return RunSummary(folder.name, state, made=folder.stat().st_mtime)
    return None


def _of_task(name: str, stored: Stored) -> RunSummary:
    index = stored.index
    task, model = _task_and_model(stored, INDEX)
    report = stored.json(REPORT)
    training = _part(report, "training")
    return RunSummary(
        name,
        "whole",
        task,
        model,
        iterations=_count(training.get("iterations")),
        loss=_number(training.get("loss")),
        accuracy=_number(training.get("accuracy")),
        tested=_number(_part(report, "evaluation").get("accuracy_trained_lengths")),
        made=_moment(index.get("created")),
    )


def _task_and_model(stored: Stored, file: str) -> tuple[str, str]:
    """Return in a few words what an index says of its task and of its model; `file` is its name."""
    try:
        task = checked_task(stored.index.get("task"))
        model = _model_name(checked_settings("model", stored.index.get("model")))
    except InvalidArgument as error:
        stored.damaged(file, f"cannot be used: {error}", error)
    return f"{task.name} {task.lengths[0]}-{task.lengths[-1]}", model


def _classifier_of(options: Mapping[str, Any]) -> str:
    """Return in a few words which classifier a run on data trains."""
    cell, units, layers = options.get("model", "rnn"), options.get("dim_recurrent", 50), options.get("layers", 1)
    return f"{cell} {'' if layers == 1 else f'{layers}x'}{units}"


def _model_name(settings: Mapping[str, Any]) -> str:
    if settings.get("dim_recurrent") is None:
        return str(settings["name"])
    return f"{settings['name']} {_checks.integer('dim_recurrent', settings['dim_recurrent'], minimum=1)}"


def _of_data(name: str, folder: Path) -> RunSummary:
    stored = DATA_RUN.read(folder)
    report = stored.json(REPORT)
    training = _part(report, "training")
    classes = training.get("classes")
    return RunSummary(
        name,
        "whole",
        f"data, {len(classes)} classes" if isinstance(classes, dict) else "data",
        _classifier_name(CLASSIFIER.glance(folder / CLASSIFIER_FOLDER)),
        epochs=_count(training.get("epochs")),
        loss=_number(training.get("loss")),
        accuracy=_number(training.get("accuracy")),
        tested=_number(_part(report, "evaluation").get("accuracy")),
        made=_moment(stored.index.get("created")),
    )


def _classifier_name(stored: Stored) -> str:
    cell, settings = stored.index.get("cell"), _part(stored.index, "settings")
    units, layers = _count(settings.get("dim_recurrent")), _count(settings.get("layers"))
    if not isinstance(cell, str | None) or units is None or layers is None:
        stored.damaged(CLASSIFIER.index, "does not say of what kind and size its network is")
    times = "" if layers == 1 else f"{layers}x"
    return f"{'own' if cell is None else cell} {times}{units}"


def _part(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = values.get(name)
    return found if isinstance(found, dict) else {}


def _count(value: Any) -> int | None:
    sound = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_ITERATIONS
    return value if sound else None


def _number(value: Any) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _moment(text: Any) -> float | None:
    """Return the time that an index says, in seconds since 1970."""
    try:
        moment = datetime.fromisoformat(text).timestamp()
    except (TypeError, ValueError, OverflowError, OSError):
        return None
    return moment if 0 <= moment <= LATEST else None

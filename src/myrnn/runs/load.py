"""Reading a run folder. Nothing in it is trusted: every value is checked before it is used."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from myrnn import _checks
from myrnn.errors import InvalidArgument, RunError
from myrnn.experiment.parts import OWN
from myrnn.experiment.sources import SOURCES, Source
from myrnn.learning_curve import History, LearningCurve
from myrnn.runs.folder import ENCODING, HISTORY, INDEX, REPORT, UNFINISHED, WEIGHTS, has_run, read_folder, read_index
from myrnn.runs.job import Job, parse_job
from myrnn.runs.model import check_same, class_of, load_weights, remake
from myrnn.runs.origin import CONTINUED_FROM, PHASES, check_origin, check_phases
from myrnn.runs.reader import OWN as OWN_FUNCTION
from myrnn.runs.reader import DataReader, Reader, TaskReader
from myrnn.runs.trained import Run
from myrnn.storage import Stored

# What an estimator has saved about itself.
ESTIMATOR = "estimator"


def load_run(folder: str | os.PathLike[str], model: Any = None, tokenize: Any = None) -> Run:
    """Read a run folder, or the folder of a saved classifier.

    Parameters
    ----------
    folder : path
    model : class, callable or model, optional
        For a run with a user-defined model: its class, a function of C, D and K that returns a model, or a model, whose
        weights are replaced.
    tokenize : callable, optional
        For a classifier that splits text with a user-defined function: that function.

    Returns
    -------
    Run

    Raises
    ------
    RunError
        When it is missing, incomplete, damaged, of a newer version, or holds invalid values; the message names the file
        and the fault.
    InvalidArgument
        When `model` is missing, is given but not needed, or is not the saved one.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from myrnn import RNN, Adam, tasks, train
    >>> from myrnn.runs import save_run
    >>> task = tasks.TwinHalves(pattern_length_max=2)
    >>> model = RNN(task.dim_input, 8, task.dim_output, rng=0)
    >>> optimizer = Adam(model.parameters)
    >>> history = train(model, task, optimizer, 20, engine="mygrad", progress=False)
    >>> with TemporaryDirectory() as folder:
    ...     path = save_run(Path(folder, "halves"), task=task, model=model, optimizer=optimizer, history=history)
    ...     saved = load_run(path)
    >>> all((one.data == other.data).all() for one, other in zip(saved.model.parameters, model.parameters))
    True
    """
    stored, report, job = _read(folder)
    reader = _reader(stored, job, tokenize)
    try:
        # Any fault in the settings is an error of the index.
        made = None if job.model["name"] == OWN else remake(job.model, None, np.random.default_rng(0))
    except InvalidArgument as error:
        stored.damaged(INDEX, f"cannot be used: {error}", error)
    try:
        if made is None and model is None:
            model = class_of(job.model)
        if made is None or model is not None:
            made = remake(job.model, model, np.random.default_rng(0))
        _load_weights(stored, job, made)
        check_same(job.model, made)
    except InvalidArgument as error:
        raise InvalidArgument(f"{folder}: {error}") from None
    history = parse_history(stored, report, job.experiment.source, job.model["dim_output"])
    names = (*SOURCES, "model", "optimizer", "training", CONTINUED_FROM, PHASES)
    return Run(
        job.experiment,
        made,
        reader,
        history,
        best=_best(stored, report, history),
        folder=Path(folder),
        report=report,
        settings={name: stored.index[name] for name in names if name in stored.index},
        own=model,
        further=stored.index.get(ESTIMATOR, {}),
        hashes=job.hashes,
    )


def load_history(folder: str | os.PathLike[str]) -> History:
    """Return the history of a complete run, which needs no model; raises RunError as `load_run` does."""
    stored, report, job = _read(folder)
    return parse_history(stored, report, job.experiment.source, job.model["dim_output"])


def _read(folder: str | os.PathLike[str]) -> tuple[Stored, dict[str, Any], Job]:
    """Return the files of a complete run, its report and its job; raises RunError if one is not valid."""
    path = Path(folder)
    if (path / UNFINISHED.index).exists() and not has_run(path):
        raise RunError(f"{folder} is not complete: myrnn train --resume {folder} resumes it")
    stored = read_folder(path)
    report = stored.json(REPORT)
    try:
        job = parse_job(stored)
        if CONTINUED_FROM in stored.index:
            check_origin(stored.index[CONTINUED_FROM])
        if PHASES in stored.index:
            check_phases(stored.index[PHASES])
        if not isinstance(stored.index.get(ESTIMATOR, {}), dict):
            raise InvalidArgument(f"{ESTIMATOR!r} must be an object")
    except InvalidArgument as error:
        stored.damaged(INDEX, f"cannot be used: {error}", error)
    return stored, report, job


def _reader(stored: Stored, job: Job, tokenize: Any) -> Reader:
    """Return what the model reads; `tokenize` is a function that the user gives again."""
    data: Any = job.experiment.source.settings
    if job.experiment.source.section == "task":
        return TaskReader(data.make())
    if ENCODING not in stored.content:
        stored.damaged(INDEX, f"has no size and hash for {ENCODING}")
    try:
        settings = stored.json(ENCODING)
        reader = DataReader.from_settings(settings, data.learn, data.max_vocabulary, tokenize)
        sizes = job.model["dim_input"], job.model["dim_output"]
        is_classes = reader.targets.is_classes
        if (reader.dim_input, reader.dim_output) != sizes or (is_classes and reader.dim_output < 2):
            outputs = _checks.count_of(reader.dim_output, "class" if is_classes else "number")
            raise InvalidArgument(f"it has {_checks.count_of(reader.dim_input, 'input')} and {outputs}, not {sizes}")
    except InvalidArgument as error:
        stored.damaged(ENCODING, f"cannot be used: {error}", error)
    how = settings["tokenize"]
    if how == OWN_FUNCTION and not callable(tokenize):
        raise InvalidArgument(f"{stored.folder} reads text with a user-defined function: give it as tokenize=")
    if how != OWN_FUNCTION and tokenize is not None:
        raise InvalidArgument(f"{stored.folder} reads text without a user-defined function: leave out tokenize=")
    return reader


def _best(stored: Stored, report: Mapping[str, Any], history: History) -> int:
    """Return the report, or epoch, whose weights the model has."""
    last = len(history)
    try:
        return _checks.integer("best_epoch", report["training"].get("best_epoch", last), minimum=0, maximum=last)
    except InvalidArgument as error:
        stored.damaged(REPORT, f"cannot be used: {error}", error)


def _load_weights(stored: Stored, job: Job, model: Any) -> None:
    """Load the weights; if they do not fit a user-defined model, say which class was saved."""
    try:
        load_weights(stored, WEIGHTS, model)
    except RunError as error:
        given, saved = type(model).__name__, job.model.get("class")
        if saved in (None, given):
            raise
        what = error.args[0].removeprefix(f"{stored.folder}: ")
        raise InvalidArgument(f"{what}: the run was trained with the class {saved}, not {given}") from None


def holds_own(folder: str | os.PathLike[str]) -> bool:
    """Return whether the model of a run is user-defined; raises RunError if there is no run."""
    model = read_index(folder).get("model")
    return isinstance(model, dict) and model.get("name") == OWN


def parse_history(
    stored: Stored, report: Mapping[str, Any], source: Source, outputs: int | None = None
) -> LearningCurve:
    """Return the history of a run, with the accuracy of guessing for so many outputs; raises RunError if not valid."""
    unit, metric = source.unit, source.metric
    try:
        curve = LearningCurve.from_csv(stored.content[HISTORY])
        if curve.unit != unit:
            raise ValueError(f"its first column must be {unit}")
        if curve.metric != metric:
            raise ValueError(f"it must have {metric}, and not {curve.metric}")
    except ValueError as error:
        stored.damaged(HISTORY, f"is not a history: {error}", error)
    step = curve.step
    if len(step) and (step[0] < 1 or np.any(np.diff(step) < 1)):
        stored.damaged(HISTORY, f"must have {unit}s that rise from 1 or more")
    numbers = {name: values for name, values in curve.columns.items() if name != unit}
    losses = [values for name, values in numbers.items() if name.endswith("loss")]
    rates = [values for name, values in numbers.items() if name.endswith("accuracy")]
    if not (
        all(np.isfinite(loss).all() and np.all(loss >= 0) for loss in losses)
        and all(np.all((rate >= 0) & (rate <= 1)) for rate in rates)
        and all(np.isfinite(values).all() for values in numbers.values())
    ):
        stored.damaged(HISTORY, "must have finite losses of 0 or more and accuracies between 0 and 1")
    training = report.get("training")
    try:
        if not isinstance(training, dict):
            raise InvalidArgument("'training' is missing")
        longest = _checks.integer("longest", training.get("longest"), minimum=0)
        engine = _checks.one_of("engine", training.get("engine"), ("native", "mygrad"))
    except InvalidArgument as error:
        stored.damaged(REPORT, f"cannot be used: {error}", error)
    return replace(curve, longest=longest, engine=engine, chance=None if outputs is None else source.chance(outputs))

"""A complete run in its folder: written whole or not at all, and read. Nothing in a folder is trusted."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from myrnn import _checks, plots
from myrnn.errors import InvalidArgument, RunError
from myrnn.evaluation import LengthReport
from myrnn.experiment import Experiment, Part
from myrnn.experiment.parts import OWN
from myrnn.experiment.sources import Source
from myrnn.graphs.build import write_graph
from myrnn.learning_curve import ACCURACY, LearningCurve
from myrnn.models.own import file_of
from myrnn.registry import kind_of
from myrnn.runs.folder import ENCODING, HISTORY, REPORT, RUN, UNFINISHED, WEIGHTS, Job, has_run, parse_job, weight_bytes
from myrnn.runs.model import LARGEST, SOURCE, check_same, class_of, describe_model, load_weights, remake
from myrnn.runs.reader import OWN_FUNCTION, TASK_TEST, DataReader, Reader, TaskReader
from myrnn.runs.reports import parts_of, tests_table
from myrnn.runs.trained import Run, as_measured, training_numbers
from myrnn.storage import Stored, empty_folder, json_to_bytes
from myrnn.training import TrainingSettings

# No valid run on data comes near this number of sequences.
MOST_SEQUENCES = 10**9
Files = dict[str, bytes | Callable[[Path], Any]]
# What an estimator has saved about itself.
ESTIMATOR = "estimator"
# If the run continued another one, its name, the SHA-256 of its weights and its iterations.
CONTINUED_FROM = "continued_from"
ORIGIN = ("name", "weights", "iterations")
# If settings changed during the training: the arguments of each call of `train`.
PHASES = "phases"
PHASE = ("iterations", "learning_rate", "batch_size", "seed", "gradient_clip")


def save_run(
    folder: str | os.PathLike[str],
    *,
    task: Any,
    model: Any,
    optimizer: Any,
    history: LearningCurve,
    training: Mapping[str, Any] | None = None,
    report: LengthReport | None = None,
    dim_recurrent: int | None = None,
    continued_from: Mapping[str, Any] | None = None,
    phases: Sequence[Mapping[str, Any]] = (),
) -> Path:
    """Write the run folder of a training that was done by hand, and return its path.

    Parameters
    ----------
    folder : path
        A path that does not exist, or an empty folder.
    task : TwinHalves or Palindromes
    model : a network of this package, or a model of a user-defined class
        With its trained weights. For a user-defined class that was loaded from a file, the folder names the file, has
        its hash, and a copy to read, which is never run. `load_run` finds that file, or takes the class.
    optimizer : SGD, RMSprop or Adam
        Only its settings are stored.
    history : LearningCurve
    training : mapping, optional
        The arguments of `train` that are not defaults: iterations, batch_size, seed, engine, report_every, schedule (by
        name), gradient_clip.
    report : LengthReport, optional
        Writes ``accuracy_by_length.csv`` and its figures.
    dim_recurrent : int, optional
        The number of units of a user-defined model, by default its attribute `dim_recurrent`.
    continued_from : mapping, optional
        The run that the training continued: its ``name``, the SHA-256 of its ``weights`` and its ``iterations``.
    phases : sequence of mapping
        If the learning rate, the batch size or the clipping changed during the training: the arguments of the calls of
        `train`, in order. Each has ``iterations``, ``learning_rate``, ``batch_size``, ``seed`` and ``gradient_clip``.

    Returns
    -------
    Path

    Raises
    ------
    InvalidArgument
        When the task or optimizer is of a kind that cannot be rebuilt from a file, or the history is not that of a
        classifier.
    RunError
        When the folder is not empty or cannot be written.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from myrnn import Experiment, train
    >>> from myrnn.runs import load_run, save_run
    >>> task, model, optimizer = Experiment("twin-halves:pattern_length_max=2", "rnn:dim_recurrent=8").make()
    >>> history = train(model, task, optimizer, 20, engine="mygrad", progress=False)
    >>> with TemporaryDirectory() as folder:
    ...     path = save_run(Path(folder, "halves"), task=task, model=model, optimizer=optimizer, history=history)
    ...     saved = load_run(path)
    >>> saved.task == task, saved.class_names
    (True, ('no match', 'match'))
    """
    if history.metric != ACCURACY:
        raise InvalidArgument(f"save_run saves a classifier, whose history has {ACCURACY}, not {history.metric}")
    part = Part.of("model", model) if kind_of("model", model) is not None else OWN
    experiment = Experiment(Part.of("task", task), part, Part.of("optimizer", optimizer), training)
    further = {
        **({} if continued_from is None else {CONTINUED_FROM: check_origin(continued_from)}),
        **({PHASES: check_phases(list(phases))} if phases else {}),
    }
    reader = TaskReader(task)
    run = Run(experiment, model, reader, as_measured(history, reader), best=len(history))
    run.report = {"training": training_numbers(run)}
    if report is not None:
        run.report["tests"] = {TASK_TEST: report.numbers()}
    target = empty_folder(folder, "run")
    settings = Job(experiment, describe_model(model, task, dim_recurrent=dim_recurrent)).settings(target)
    write_run(target, {**settings, **further}, run, {} if report is None else {TASK_TEST: report})
    return target


def write_run(
    folder: Path, settings: Mapping[str, Any], run: Run, reports: Mapping[str, Any], pictures: bool = True
) -> None:
    """Write the files of a run, and last the index with its settings; raises RunError if that fails."""
    encoding = run.reader.to_settings()
    files: Files = {
        WEIGHTS: weight_bytes(run.model),
        HISTORY: run.history.to_csv,
        REPORT: json_to_bytes(run.report),
        **({} if encoding is None else {ENCODING: json_to_bytes(encoding)}),
        **_source(run.model),
    }
    # One at a time: a figure occupies memory until it is written.
    figures: dict[str, Callable[[], Any]] = {}
    if pictures and len(run.history):
        # Without validation the last weights count.
        best = run.best if run.history.validation_loss is not None else None
        figures["training"] = partial(plots.plot_learning_curve, run.history, best_epoch=best)
    if pictures and (example := run.reader.example()) is not None:
        files["graph.svg"] = partial(write_graph, run.recognizer, example)
    for name, report in reports.items():
        end = "" if len(reports) == 1 else f"-{name}"
        tables, drawn = parts_of(report)
        files |= {f"{part}{end}.csv": write for part, write in tables.items()}
        figures |= {f"{part}{end}": draw for part, draw in drawn.items()}
    if len(reports) > 1:
        files["tests.csv"] = tests_table(reports).to_csv
    for name, draw in figures.items():
        figure = draw()
        files |= {f"{name}{ending}": partial(plots.save_figure, figure) for ending in (".svg", ".png")}
    RUN.write(folder, settings, files)


def _source(model: Any) -> Files:
    """Return a copy of the file of a user-defined class, if it was loaded from one."""
    file = file_of(type(model))
    return {} if file is None else {SOURCE: file.source}


def check_origin(given: Any) -> dict[str, Any]:
    """Return, checked, the name, the SHA-256 of the weights and the iterations of the run that this one continues."""
    if not isinstance(given, dict) or set(given) != set(ORIGIN):
        raise InvalidArgument(f"{CONTINUED_FROM} must have {', '.join(ORIGIN)}, not {_checks.shown(given)}")
    name, weights = given["name"], given["weights"]
    if not isinstance(name, str):
        raise InvalidArgument(f"the name in {CONTINUED_FROM} must be a text, not {_checks.shown(name)}")
    if not (isinstance(weights, str) and re.fullmatch("[0-9a-f]{64}", weights)):
        raise InvalidArgument(f"the weights in {CONTINUED_FROM} must be a SHA-256, not {_checks.shown(weights)}")
    _checks.integer("iterations", given["iterations"], minimum=0, maximum=LARGEST)
    return dict(given)


def check_phases(given: Any) -> list[dict[str, Any]]:
    """Return, checked, the phases of a training whose settings changed on the way, each as `train` takes them."""
    if not isinstance(given, list) or not all(isinstance(phase, dict) for phase in given):
        raise InvalidArgument(f"{PHASES} must be a list of objects, not {_checks.shown(given)}")
    for phase in given:
        if set(phase) != set(PHASE):
            raise InvalidArgument(f"every one of {PHASES} must have {', '.join(PHASE)}, not {_checks.shown(phase)}")
        _checks.real("learning_rate", phase["learning_rate"], minimum=0)
        TrainingSettings.read({name: phase[name] for name in PHASE if name != "learning_rate"}, "a phase")
    return [dict(phase) for phase in given]


# --- reading


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
    >>> from myrnn import Experiment, train
    >>> from myrnn.runs import save_run
    >>> task, model, optimizer = Experiment("twin-halves:pattern_length_max=2", "rnn:dim_recurrent=8").make()
    >>> history = train(model, task, optimizer, 20, engine="mygrad", progress=False)
    >>> with TemporaryDirectory() as folder:
    ...     path = save_run(Path(folder, "halves"), task=task, model=model, optimizer=optimizer, history=history)
    ...     saved = load_run(path)
    >>> all((one.data == other.data).all() for one, other in zip(saved.model.parameters, model.parameters))
    True
    """
    stored, report, job = _read(folder)
    reader = _reader(stored, job, tokenize)
    with stored.using():
        # Any fault in the settings is an error of the index.
        made = None if job.model["name"] == OWN else remake(job.model, None, np.random.default_rng(0))
    try:
        model = class_of(job.model, model)
        if made is None:
            made = remake(job.model, model, np.random.default_rng(0))
        _load_weights(stored, job, made)
        check_same(job.model, made)
    except InvalidArgument as error:
        raise InvalidArgument(f"{folder}: {error}") from None
    history = parse_history(stored, report, job.experiment.source)
    with stored.using(REPORT):
        best = _checks.integer(
            "best_epoch", report["training"].get("best_epoch", len(history)), minimum=0, maximum=len(history)
        )
        if reader.task is None:
            # The initial weights follow from it.
            _checks.integer("sequences", report["training"].get("sequences"), minimum=1, maximum=MOST_SEQUENCES)
    return Run(
        job.experiment,
        made,
        reader,
        history,
        best=best,
        folder=Path(folder),
        report=report,
        own=model,
        further=stored.index.get(ESTIMATOR, {}),
        hashes=job.hashes,
        continued_from=stored.index.get(CONTINUED_FROM),
        phases=stored.index.get(PHASES, ()),
    )


def load_history(folder: str | os.PathLike[str]) -> LearningCurve:
    """Return the history of a complete run, which needs no model; raises RunError as `load_run` does."""
    stored, report, job = _read(folder)
    return parse_history(stored, report, job.experiment.source)


def _read(folder: str | os.PathLike[str]) -> tuple[Stored, dict[str, Any], Job]:
    """Return the files of a complete run, its report and its job; raises RunError if one is not valid."""
    path = Path(folder)
    if (path / UNFINISHED.index).exists() and not has_run(path):
        raise RunError(f"{folder} is not complete: myrnn train --resume {folder} resumes it")
    stored = RUN.read(path)
    report = stored.json(REPORT)
    with stored.using():
        job = parse_job(stored)
        if CONTINUED_FROM in stored.index:
            check_origin(stored.index[CONTINUED_FROM])
        if PHASES in stored.index:
            check_phases(stored.index[PHASES])
        if not isinstance(stored.index.get(ESTIMATOR, {}), dict):
            raise InvalidArgument(f"{ESTIMATOR!r} must be an object")
    return stored, report, job


def _reader(stored: Stored, job: Job, tokenize: Any) -> Reader:
    """Return what the model reads; `tokenize` is a function that the user gives again."""
    data: Any = job.experiment.source.settings
    if job.experiment.source.section == "task":
        return TaskReader(data.make())
    if ENCODING not in stored.content:
        stored.damaged(RUN.index, f"has no size and hash for {ENCODING}")
    with stored.using(ENCODING):
        settings = stored.json(ENCODING)
        reader = DataReader.from_settings(settings, data.learn, data.max_vocabulary, tokenize)
        sizes = job.model["dim_input"], job.model["dim_output"]
        is_classes = reader.targets.is_classes
        if (reader.dim_input, reader.dim_output) != sizes or (is_classes and reader.dim_output < 2):
            outputs = _checks.count_of(reader.dim_output, "class" if is_classes else "number")
            raise InvalidArgument(f"it has {_checks.count_of(reader.dim_input, 'input')} and {outputs}, not {sizes}")
    how = settings["tokenize"]
    if how == OWN_FUNCTION and not callable(tokenize):
        raise InvalidArgument(f"{stored.folder} reads text with a user-defined function: give it as tokenize=")
    if how != OWN_FUNCTION and tokenize is not None:
        raise InvalidArgument(f"{stored.folder} reads text without a user-defined function: leave out tokenize=")
    return reader


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
    model = RUN.read_index(folder).get("model")
    return isinstance(model, dict) and model.get("name") == OWN


def parse_history(stored: Stored, report: Mapping[str, Any], source: Source) -> LearningCurve:
    """Return the history of a run; raises RunError if it is not valid."""
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
    with stored.using(REPORT):
        if not isinstance(training, dict):
            raise InvalidArgument("'training' is missing")
        longest = _checks.integer("longest", training.get("longest"), minimum=0)
        engine = _checks.one_of("engine", training.get("engine"), ("native", "mygrad"))
        chance = training.get("chance")
        if chance is not None:
            _checks.real("chance", chance, minimum=0, below=1)
    return replace(curve, longest=longest, engine=engine, chance=chance)

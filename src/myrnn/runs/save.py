"""Writing a run folder that is either complete or not a run."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from myrnn import plots
from myrnn.errors import InvalidArgument
from myrnn.evaluation import LengthReport
from myrnn.experiment import Experiment, Part
from myrnn.experiment.parts import OWN
from myrnn.graphs.build import write_graph
from myrnn.learning_curve import ACCURACY, History
from myrnn.models.own import file_of
from myrnn.registry import kind_of
from myrnn.runs.folder import ENCODING, HISTORY, REPORT, RUN, WEIGHTS, weight_bytes
from myrnn.runs.job import Job
from myrnn.runs.model import SOURCE, describe_model
from myrnn.runs.origin import CONTINUED_FROM, PHASES, check_origin, check_phases
from myrnn.runs.reader import TaskReader
from myrnn.runs.reports import parts_of, tests_table
from myrnn.runs.trained import Run, training_numbers
from myrnn.storage import empty_folder, json_to_bytes

Files = dict[str, bytes | Callable[[Path], Any]]


def save_run(
    folder: str | os.PathLike[str],
    *,
    task: Any,
    model: Any,
    optimizer: Any,
    history: History,
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
    history : History
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
    >>> from myrnn import RNN, Adam, tasks, train
    >>> from myrnn.runs import load_run, save_run
    >>> task = tasks.TwinHalves(pattern_length_max=2)
    >>> model = RNN(task.dim_input, 8, task.dim_output, rng=0)
    >>> optimizer = Adam(model.parameters)
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
    run = Run(experiment, model, TaskReader(task), history, best=len(history))
    run.report = {"training": training_numbers(run)}
    if report is not None:
        run.report["evaluation"] = report.numbers()
    target = empty_folder(folder, "run")
    settings = Job(experiment, describe_model(model, task, dim_recurrent=dim_recurrent)).settings(target)
    write_run(target, {**settings, **further}, run, {} if report is None else {"": report})
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
        curve = replace(run.history, chance=run.reader.shown_chance)
        figures["training"] = partial(plots.plot_learning_curve, curve, best_epoch=best)
    if pictures and run.task is not None:
        files["graph.svg"] = partial(write_graph, run.recognizer, _example(run.reader))
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


def _example(reader: Any) -> Any:
    """Return a sequence of about four symbols, whose graph fits on a page."""
    task = reader.recognition
    length = task.lengths[np.argmin(abs(task.lengths - 4))]
    return task.sample_lengths([length], np.random.default_rng(1))


def _source(model: Any) -> Files:
    """Return a copy of the file of a user-defined class, if it was loaded from one."""
    file = file_of(type(model))
    return {} if file is None else {SOURCE: file.source}

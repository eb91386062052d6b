"""A run from its first iteration to a complete folder, on a task or on data."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from myrnn.compiler import compiling_seconds
from myrnn.data import LABELS, TAGS
from myrnn.errors import InvalidArgument, RunError
from myrnn.evaluation import LengthReport, Report, as_tested, check_classes, evaluate
from myrnn.experiment import OWN, Experiment, is_own
from myrnn.graphs import write_graph
from myrnn.models import num_parameters, with_stack_depth
from myrnn.runs.data import GivenData, data_name, read_data
from myrnn.runs.fitted import Fitted
from myrnn.runs.folder import CHECKPOINTS, claim_folder, dropped_unless_saved, end_job, is_unfinished
from myrnn.runs.job import Job, described, load_job
from myrnn.runs.load import Run, load_run
from myrnn.runs.model import class_of
from myrnn.runs.reports import WITH_BASELINES, known_of, report_on
from myrnn.runs.save import summarize, write_data_run, write_run
from myrnn.sequences import Sequences
from myrnn.storage import FolderLock, clear_scratch
from myrnn.tasks import recognition_of, twice_as_long
from myrnn.training import Checkpoint, History, TrainingStart, held_interrupts, train

# An interval that the user sets is used whatever share of the time it takes.
ANY_SHARE = 1e9


def run(experiment: Experiment, folder: str | os.PathLike[str] | None = None, *, progress: bool | None = None) -> Run:
    """Train and test the model of an experiment, and save it in a run folder.

    If a run was stopped, the same call resumes it, as ``myrnn train --resume FOLDER`` does.

    Parameters
    ----------
    experiment : Experiment
        With a task or with data.
    folder : path, optional
        A path that does not exist, an empty folder, or an unfinished run of the same experiment; by default a new
        folder ``runs/<task or file>-<time>``.
    progress : bool, optional
        Whether to show a progress bar; by default in terminals and notebooks.

    Returns
    -------
    Run

    Raises
    ------
    RunError
        When the folder is not empty or cannot be written.
    DataError
        When a file of its data cannot be read, or is malformed.
    TrainingDiverged
        When the loss is no longer finite.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from myrnn import Experiment, run
    >>> experiment = Experiment(
    ...     task={"name": "running-parity", "length_max": 5},
    ...     model={"name": "rnn", "dim_recurrent": 4},
    ...     training={"iterations": 20, "engine": "mygrad"},
    ...     evaluation={"samples": 50},
    ... )
    >>> with TemporaryDirectory() as folder:
    ...     done = run(experiment, Path(folder, "parity"), progress=False)
    ...     tables = sorted(path.name for path in done.folder.glob("*.csv"))
    >>> tables
    ['accuracy_by_length.csv', 'history.csv']
    >>> done.history.iteration, done.report["training"]["parameters"]
    (array([20]), 38)
    """
    if not isinstance(experiment, Experiment):
        raise InvalidArgument(f"experiment must be an Experiment, not {type(experiment).__name__}")
    make = experiment.model.own_class() if is_own(experiment.model.name) else None
    if folder is not None and is_unfinished(Path(folder)):
        path = Path(folder)
        with FolderLock(path):
            clear_scratch(path)
            work = go_on(path, _same_job(path, experiment), make, progress=progress)
            _do(work, path)
    else:
        work = begin(experiment, make, progress=progress)
        with claim_folder(folder, work.name) as path, dropped_unless_saved(path):
            work.job.begin(path)
            _do(work, path)
    return load_run(path, model=make)


def _do(work: TaskWork | DataWork, folder: Path) -> None:
    work.do(folder)
    if isinstance(work, DataWork) and work.fitted is not None and work.fitted.is_cut:
        raise KeyboardInterrupt(f"{folder} holds the network of epoch {work.fitted.best_epoch}")


def _same_job(folder: Path, experiment: Experiment) -> Job:
    """Return the job that was begun in a folder; raises RunError if it belongs to another experiment."""
    job = load_job(folder)
    if job.model["name"] == OWN:
        # The class may have moved, or is not known by its file.
        known = {"name": job.experiment.model.name, "sha256": job.experiment.model.sha256}
        experiment = replace(experiment, model=replace(experiment.model, **known))
    both = (job.experiment, replace(experiment, memory=None))
    kept, given = (whole.with_paths(os.path.abspath) for whole in both)
    if kept != given:
        raise RunError(f"{folder} holds an unfinished run of another experiment: choose another folder")
    return replace(job, experiment=replace(job.experiment, memory=experiment.memory))


def begin(
    experiment: Experiment, make: Any = None, *, every: float | None = None, progress: bool | None = None
) -> TaskWork | DataWork:
    """Return the work of a new experiment: its model is made, or its data are read.

    Parameters
    ----------
    experiment : Experiment
    make : class, optional
        The class of a user-defined model; by default it is loaded.
    every : float, optional
        Seconds between two checkpoints; by default those of `Checkpoint`.
    progress : bool, optional
    """
    if make is None and is_own(experiment.model.name):
        make = experiment.model.own_class()
    if experiment.data is not None:
        data = read_data(experiment)
        return DataWork(Job.on_data(experiment, data.hashes, make), data, make, every, progress)
    task, model, optimizer = experiment.make(make)
    # Runs are tested as classifiers: refuse other targets now, not after the training.
    if isinstance(drawn := recognition_of(task).sample(1, np.random.default_rng(0)), Sequences):
        check_classes(drawn)
    return TaskWork(Job.of(experiment, task, model), task, model, optimizer, every, progress)


def go_on(
    folder: Path, job: Job, make: Any = None, *, every: float | None = None, progress: bool | None = None
) -> TaskWork | DataWork:
    """Return the work of a job that was begun before.

    Parameters
    ----------
    folder : Path
        The folder where it was begun.
    job : Job
        As `load_job` reads it.
    make : class or callable, optional
        The class of the model, if it is user-defined; by default the one that the user has named before.
    every, progress
        As for `begin`.

    Raises
    ------
    RunError
        When its data have changed.
    InvalidArgument
        When `make` is missing, or makes a different model.
    """
    if job.experiment.data is None:
        model, optimizer = job.make(make)
        return TaskWork(job, job.experiment.task.make(), model, optimizer, every, progress)
    data = read_data(job.experiment)
    for name, found in data.hashes.items():
        if job.hashes.get(name) != found:
            file = Path(job.experiment.files.get(name, name)).name
            raise RunError(f"{file} has changed since {folder} was begun: it cannot resume with other data")
    if job.model["name"] == OWN:
        saved = job.model["class"]
        if make is None:
            make = class_of(job.model)
        # A run that was stopped has no outputs to compare: its class must at least have the same name.
        if job.model["logits"] is None and isinstance(make, type) and make.__name__ != saved.rpartition(".")[2]:
            raise InvalidArgument(f"it was begun with the class {saved}, not {make.__name__}")
    return DataWork(job, data, make, every, progress)


def _checkpoint(folder: Path, every: float | None) -> Checkpoint:
    return Checkpoint(folder / CHECKPOINTS) if every is None else Checkpoint(folder / CHECKPOINTS, every, ANY_SHARE)


@dataclass
class TaskWork:
    """A run on a task that is to be done or resumed.

    Attributes
    ----------
    job : Job
    task, model, optimizer : object
        As the job makes them.
    every : float, optional
        Seconds between two checkpoints; by default those of `Checkpoint`.
    progress : bool, optional
    """

    job: Job
    task: Any
    model: Any
    optimizer: Any
    every: float | None = None
    progress: bool | None = None

    @property
    def name(self) -> str:
        """The beginning of the folder's name."""
        name: str = self.job.experiment.task.name
        return name

    def do(self, folder: Path) -> tuple[LengthReport, dict[str, Any]]:
        """Train from the beginning or the last checkpoint, evaluate and write the folder, which the caller has locked.

        Returns
        -------
        report : LengthReport
        numbers : dict
            As `summarize` gives them.
        """
        clock, experiment = _Clock(), self.job.experiment
        history = train(
            self.model,
            self.task,
            self.optimizer,
            **self.job.training.to_dict(),
            checkpoint=_checkpoint(folder, self.every),
            resume=True,
            hooks=[clock],
            progress=self.progress,
        )
        trained = time.perf_counter()
        report = evaluated(experiment, self.task, self.model, history, self.progress)
        seed, tried = evaluation_seed(experiment), int(report.sequences.sum())
        numbers = summarize(
            self.model,
            history,
            report,
            training=clock.numbers(int(history.iteration[-1]), trained),
            evaluation={"seed": seed, **_speed("sequences", tried, time.perf_counter() - trained)},
        )
        pictures = {"graph.svg": lambda path: write_graph(*_example(self.model, self.task, seed), path)}
        settings = self.job.settings(folder, described(experiment, self.task, self.model))
        write_run(folder, settings, self.model, history, numbers, report, pictures)
        end_job(folder)
        return report, numbers


@dataclass
class DataWork:
    """A run on data that is to be done or resumed.

    Attributes
    ----------
    job : Job
    data : GivenData
    make : class or callable, optional
        The class of the model, if it is user-defined.
    every : float, optional
        Seconds between two checkpoints; by default those of `Checkpoint`.
    progress : bool, optional
    on_trained : callable, optional
        Called with the numbers of the training before the tests.
    fitted : Fitted or None
        The trained model, after the training.
    is_tested : bool
        Whether the tests were written, too.
    """

    job: Job
    data: GivenData
    make: Any = None
    every: float | None = None
    progress: bool | None = None
    on_trained: Callable[[dict[str, Any]], None] = lambda numbers: None
    fitted: Fitted | None = field(default=None, init=False)
    is_tested: bool = field(default=False, init=False)

    @property
    def name(self) -> str:
        """The beginning of the folder's name."""
        return data_name(self.job.experiment)

    def do(self, folder: Path) -> tuple[dict[str, Report], dict[str, Any]]:
        """Train from the beginning or the last checkpoint, test and write the folder, which the caller has locked.

        A training that the user interrupts is tested and written as it is; it can be resumed later.

        Returns
        -------
        reports : dict of str to Report
            By the names of the tests.
        numbers : dict
            The results of the training and the tests, in the form of ``report.json``.
        """
        experiment = self.job.experiment
        begin, compiled = time.perf_counter(), compiling_seconds()
        checkpoint = _checkpoint(folder, self.every)
        fitted = self.data.fit(experiment, checkpoint, make=self.make, progress=self.progress)
        self.fitted = fitted
        compiled = compiling_seconds() - compiled
        seconds = time.perf_counter() - begin - compiled
        numbers = {"training": self._trained(fitted, compiled, seconds)}
        # Write the run before the tests, so that it is usable if they are interrupted.
        self._write(folder, numbers, {}, is_last=not self.data.tests)
        self.on_trained(numbers["training"])
        reports = self._test(fitted, numbers)
        if reports:
            self._write(folder, numbers, reports, is_last=True)
        return reports, numbers

    def _write(
        self,
        folder: Path,
        numbers: dict[str, Any],
        reports: Mapping[str, Report],
        is_last: bool,
    ) -> None:
        assert self.fitted is not None
        settings = self.job.settings(folder, described(self.job.experiment, self.fitted, self.fitted.model))
        # A first signal waits until everything is written.
        with held_interrupts():
            write_data_run(folder, settings, self.fitted, numbers, reports, pictures=is_last)
            self.is_tested = is_last
            if is_last and not self.fitted.is_cut:
                end_job(folder)

    def _test(self, fitted: Fitted, numbers: dict[str, Any]) -> dict[str, Report]:
        reports: dict[str, Report] = {}
        known = None
        if self.data.tests and fitted.targets.learn in WITH_BASELINES:
            known = known_of(fitted, self.data.X, self.data.y)
        for name, test in self.data.tests.items():
            begin = time.perf_counter()
            y = test.labels if fitted.targets.learn == LABELS else test.targets
            reports[name] = report_on(fitted, test.sequences, y, known)
            seconds = time.perf_counter() - begin
            found = {"skipped_lines": test.skipped, "seconds": seconds, **reports[name].numbers()}
            if len(self.data.tests) == 1:
                numbers["evaluation"] = found
            numbers.setdefault("tests", {})[name] = found
        if len(self.data.tests) == 1:
            del numbers["tests"]
        return reports

    def _trained(self, fitted: Fitted, compiled: float, seconds: float) -> dict[str, Any]:
        history, best, train = fitted.history, fitted.best_epoch - 1, self.data.train
        lengths = np.diff(fitted.raw(self.data.X).offsets) if train is None else train.lengths
        return {
            "engine": history.engine,
            "sequences": len(lengths),
            "skipped_lines": 0 if train is None else train.skipped,
            "shortest": int(lengths.min()),
            "longest": int(lengths.max()),
            **self._classes(),
            "epochs": len(history),
            "best_epoch": fitted.best_epoch,
            "parameters": num_parameters(fitted.model),
            **{name: float(column[best]) for name, column in history.columns.items() if name != "epoch"},
            "preparation_seconds": compiled,
            "seconds": seconds,
        }

    def _classes(self) -> dict[str, Any]:
        """Return the number of sequences, or steps, of each class."""
        learn, y = self.job.experiment.data.learn, self.data.y
        if learn not in (LABELS, TAGS):
            return {}
        given = np.asarray(y) if learn == LABELS else np.array([str(tag) for tags in y for tag in tags])
        values, counts = np.unique(given, return_counts=True)
        return {"classes": dict(zip(map(str, values.tolist()), counts.tolist(), strict=True))}


def evaluation_seed(experiment: Experiment) -> int:
    """Return the seed of the test sequences: by default the next seed, so that they are new to the model."""
    asked: int | None = experiment.evaluation.seed
    return experiment.training.seed + 1 if asked is None else asked


def evaluated(
    experiment: Experiment, task: Any, model: Any, history: History, progress: bool | None = None
) -> LengthReport:
    """Evaluate a trained model as its experiment says, by default up to twice the trained lengths."""
    asked = experiment.evaluation.lengths
    lengths = tested_lengths(task) if asked is None else asked
    with with_stack_depth(model, experiment.evaluation.stack_depth):
        return evaluate(
            model,
            task,
            experiment.evaluation.samples,
            evaluation_seed(experiment),
            lengths=lengths,
            trained=history,
            engine=experiment.training.engine,
            progress=progress,
        )


def tested_lengths(task: Any) -> NDArray[np.int64]:
    """Return the test lengths of a run on a task: up to twice its longest, as far as they exist."""
    lengths: NDArray[np.int64] = twice_as_long(recognition_of(task)).lengths
    return lengths


class _Clock:
    """A hook that separates the time of the training from that of its preparation, such as compilation."""

    def __init__(self) -> None:
        self._made = time.perf_counter()
        self._begin: float | None = None
        self._first = 0

    def on_train_begin(self, start: TrainingStart) -> None:
        self._begin, self._first = time.perf_counter(), start.iteration

    def numbers(self, iterations: int, end: float) -> dict[str, Any]:
        """Return the number of iterations of the run, and the time of those done now."""
        if self._begin is None:
            # All of them were done before.
            return {"iterations": iterations, "resumed_at": iterations}
        resumed = {"resumed_at": self._first} if self._first else {}
        speed = _speed("iterations", iterations - self._first, end - self._begin)
        return {"preparation_seconds": self._begin - self._made, **resumed, **speed, "iterations": iterations}


def _example(model: Any, task: Any, seed: int) -> tuple[Any, Any]:
    """Return a model in the form that is tested, and a sequence of about four symbols, whose graph fits on a page."""
    model, task = as_tested(model, task)
    length = task.lengths[np.argmin(abs(task.lengths - 4))]
    return model, task.sample_lengths([length], np.random.default_rng(seed))


def _speed(unit: str, count: int, seconds: float) -> dict[str, Any]:
    return {unit: count, "seconds": seconds, f"{unit}_per_second": count / seconds}

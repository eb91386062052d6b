"""A run from its first iteration to a complete folder, which can be given more to do."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from myrnn._checks import count_of
from myrnn._signals import held_interrupts
from myrnn.errors import InvalidArgument, RunError
from myrnn.experiment import Experiment, MemorySource
from myrnn.experiment.parts import OWN
from myrnn.experiment.sources import with_memory
from myrnn.runs.folder import (
    CHECKPOINTS,
    RUN,
    Job,
    claim_folder,
    end_job,
    is_unfinished,
    load_job,
    resumable_iteration,
    source_of,
)
from myrnn.runs.model import check_same, class_of
from myrnn.runs.prepare import Prepared, prepare
from myrnn.runs.reports import Tested
from myrnn.runs.saved import load_run, write_run
from myrnn.runs.trained import Run
from myrnn.runs.training import trained
from myrnn.storage import FolderLock, clear_scratch
from myrnn.training import Checkpoint

# An interval that the user sets is used whatever share of the time it takes.
ANY_SHARE = 1e9


def run(experiment: Experiment, folder: str | os.PathLike[str] | None = None, *, progress: bool | None = None) -> Run:
    """Train and test the model of an experiment, and save it in a run folder.

    If a run was stopped, the same call resumes it. `myrnn.runs.resume` gives a run more to do.

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
    make = experiment.model.own_class()
    if folder is not None and is_unfinished(Path(folder)):
        path = Path(folder)
        with FolderLock(path):
            clear_scratch(path)
            _do(go_on(path, _same_job(path, experiment), make, progress=progress), path)
    else:
        work = begin(experiment, make, progress=progress)
        with claim_folder(folder, work.name) as path:
            work.job.begin(path)
            _do(work, path)
    return load_run(path, model=make)


def resume(
    folder: str | os.PathLike[str],
    *,
    model: Any = None,
    data: tuple[Any, Any] | None = None,
    iterations: int | None = None,
    max_epochs: int | None = None,
    early_stopping_patience: int | None = None,
    on_divergence: str | None = None,
    progress: bool | None = None,
) -> Run:
    """Do what is left of a run that was stopped or diverged, or give a complete one more iterations or epochs.

    On the same machine the result is that of a run that was never stopped, bit for bit. A complete run without anything
    left to do is only read. If the change is refused, the run stays as it was.

    Parameters
    ----------
    folder : path
        A run folder.
    model : class or callable, optional
        As for `myrnn.load_run`.
    data : tuple (X, y), optional
        The sequences and targets of a run that learns from sequences in memory.
    iterations : int, optional
        The whole number of iterations of a run on a task; by default that of the run.
    max_epochs, early_stopping_patience : int, optional
        The same for the epochs of a run on data, and for how many of them may bring no smaller validation loss.
    on_divergence : {"stop", "restart"}, optional
        As for `myrnn.train`. A run that diverged can go on with ``"restart"`` from its last good state.
    progress : bool, optional
        Whether to show a progress bar; by default in terminals and notebooks.

    Returns
    -------
    Run

    Raises
    ------
    InvalidArgument
        When the setting does not apply to the run, asks for less than it has done, or cannot be changed because the
        learning rate has decayed.
    RunError
        When the folder has no run or no state of its training, is damaged or in use, or its data have changed.
    TrainingDiverged
        When the loss is no longer finite.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from myrnn import Experiment, run
    >>> from myrnn.runs import resume
    >>> experiment = Experiment(
    ...     task="running-parity:length_max=5",
    ...     model="rnn:dim_recurrent=4",
    ...     training={"iterations": 20, "engine": "mygrad"},
    ...     evaluation={"samples": 50},
    ... )
    >>> with TemporaryDirectory() as folder:
    ...     short = run(experiment, Path(folder, "parity"), progress=False)
    ...     longer = resume(short.folder, iterations=30, progress=False)
    >>> short.history.iteration, longer.history.iteration
    (array([20]), array([20, 30]))
    """
    changes = {
        "iterations": iterations,
        "max_epochs": max_epochs,
        "early_stopping_patience": early_stopping_patience,
        "on_divergence": on_divergence,
    }
    changes = {name: value for name, value in changes.items() if value is not None}
    path = Path(folder)
    with resuming(path, changes, model, data=data, progress=progress) as work:
        if work is not None:
            _do(work, path)
    return load_run(path, model=model)


def _do(work: PendingRun, folder: Path) -> None:
    run = work.do(folder)
    if run.is_cut:
        raise KeyboardInterrupt(f"{folder} holds the network of epoch {run.best}")


def _same_job(folder: Path, experiment: Experiment) -> Job:
    """Return the job that was begun in a folder; raises RunError if it belongs to another experiment."""
    job = load_job(folder)
    given = experiment
    if job.model["name"] == OWN:
        # The class may have moved, or is not known by its file.
        known = job.experiment.model
        given = replace(experiment, model=replace(experiment.model, name=known.name, sha256=known.sha256))
    given = replace(given, source=with_memory(given.source, None))
    kept, asked = (whole.with_paths(os.path.abspath) for whole in (job.experiment, given))
    if kept != asked:
        raise RunError(f"{folder} holds an unfinished run of another experiment: choose another folder")
    return job.with_memory(getattr(experiment.source, "given", None))


@dataclass
class PendingRun:
    """A run that is to be done or resumed."""

    job: Job
    prepared: Prepared
    make: Any = None  # the class of a user-defined model
    every: float | None = None  # seconds between two checkpoints, by default those of `Checkpoint`
    progress: bool | None = None
    on_trained: Callable[[Run], None] = lambda run: None  # called after the training, before the tests
    # What a resumed run has done, its job before it was changed, and whether it was complete.
    done: int = 0  # iterations
    before: Job | None = None
    was_complete: bool = False
    # The results so far, and whether those of all tests were written.
    run: Run | None = field(default=None, init=False)
    tests: dict[str, Tested] = field(default_factory=dict, init=False)
    is_tested: bool = field(default=False, init=False)

    @property
    def name(self) -> str:
        """The beginning of the folder's name."""
        return self.job.experiment.source.name

    def do(self, folder: Path) -> Run:
        """Train from the beginning or the last checkpoint, test and write the folder, which the caller has locked."""
        try:
            return self._do(folder)
        except InvalidArgument:
            # A refused run stays as it was.
            if self.before is not None and (resumable_iteration(folder) or 0) == self.done:
                if self.was_complete:
                    end_job(folder)
                else:
                    self.before.begin(folder)
            raise

    def _do(self, folder: Path) -> Run:
        every = () if self.every is None else (self.every, ANY_SHARE)
        run = trained(
            self.prepared,
            checkpoint=Checkpoint(folder / CHECKPOINTS, *every),
            own=self.make,
            progress=self.progress,
        )
        self.run, run.folder = run, folder
        # Write the run before the tests, so that it is usable if they are interrupted.
        self._write(folder, run, is_last=not self.prepared.tests)
        self.on_trained(run)
        if self.prepared.tests:
            numbers = run.report["tests"] = {}
            for name in self.prepared.tests:
                tested = self.tests[name] = self.prepared.test(name, run, self.progress)
                numbers[name] = tested.numbers()
            self._write(folder, run, is_last=True)
        return run

    def _write(self, folder: Path, run: Run, is_last: bool) -> None:
        settings = replace(self.job, model=self.prepared.describe()).settings(folder)
        # A first signal waits until everything is written.
        with held_interrupts():
            reports = {name: tested.report for name, tested in self.tests.items()}
            write_run(folder, settings, run, reports, pictures=is_last)
            self.is_tested = is_last
            if is_last and not run.is_cut:
                end_job(folder)


def begin(
    experiment: Experiment, make: Any = None, *, every: float | None = None, progress: bool | None = None
) -> PendingRun:
    """Return the work of a new experiment: its sequences are read, and its model is made."""
    make = experiment.model.own_class(make)
    prepared = prepare(experiment, make)
    return PendingRun(Job(experiment, prepared.describe(), prepared.hashes), prepared, make, every, progress)


def go_on(
    folder: Path, job: Job, make: Any = None, *, every: float | None = None, progress: bool | None = None
) -> PendingRun:
    """Return the work of a job that was begun before."""
    make = class_of(job.model, make)
    if isinstance(make, type) and job.model["logits"] is None:
        # Without outputs to compare, its class must at least have the same name.
        saved = job.model["class"]
        if make.__name__ != saved.rpartition(".")[2]:
            raise InvalidArgument(f"it was begun with the class {saved}, not {make.__name__}")
    prepared = prepare(job.experiment, make)
    for name, found in prepared.hashes.items():
        if job.hashes.get(name) != found:
            file = Path(job.experiment.files.get(name, name)).name
            raise RunError(f"{file} has changed since {folder} was begun: it cannot resume with other data")
    check_same(job.model, prepared.model)
    return PendingRun(job, prepared, make, every, progress)


@contextmanager
def resuming(
    folder: Path,
    changes: Mapping[str, Any],
    make: Any = None,
    *,
    data: tuple[Any, Any] | None = None,
    every: float | None = None,
    progress: bool | None = None,
) -> Iterator[PendingRun | None]:
    """Lock a run folder, and yield what is left to do with these settings of its training changed, None if nothing."""
    if not folder.is_dir():
        raise RunError(f"there is no run folder {folder}")
    with FolderLock(folder):
        clear_scratch(folder)
        is_complete = not is_unfinished(folder)
        before = _kept_job(folder, changes, make, is_complete)
        if before is None:
            yield None
            return
        if data is not None:
            if not isinstance(before.experiment.source, MemorySource):
                raise InvalidArgument(f"data is for runs that learn from sequences in memory, which {folder} does not")
            before = before.with_memory(data)
        job = before.changed(folder, **changes)
        try:
            work = go_on(folder, job, make, every=every, progress=progress)
        except InvalidArgument as error:
            raise InvalidArgument(f"{folder}: {error}") from None
        work.done, work.before, work.was_complete = resumable_iteration(folder) or 0, before, is_complete
        _check_length(folder, work)
        if is_complete or job is not before:
            job.begin(folder)
        yield work


def _kept_job(folder: Path, changes: Mapping[str, Any], make: Any, is_complete: bool) -> Job | None:
    """Return the job of a run as it was begun, None if nothing is left to do; refuse settings of another source."""
    source = source_of(folder)
    for name in changes:
        if name in source.without["training"]:
            raise InvalidArgument(
                f"{name} does not go with {folder}, which is on {source.what}: {source.length} gives it more"
            )
    # A complete run has not diverged.
    if is_complete and not set(changes) - {"on_divergence"}:
        RUN.read(folder)
        return None
    job = load_job(folder)
    if is_complete:
        # Report any fault of the run or its class before anything is changed.
        history = load_run(folder, model=make).history
        if changes.get(source.length) == (history.step[-1] if len(history) else 0):
            return None
    return job


def _check_length(folder: Path, work: PendingRun) -> None:
    """Refuse to do less than a run has done."""
    source, asked = work.job.experiment.source, work.job.experiment.length
    has = work.done // (work.prepared.iterations // asked)
    if asked >= has:
        return
    if work.was_complete:
        whole = count_of(has, source.unit)
        raise InvalidArgument(f"{folder} is complete, with its {whole}: ask for more with {source.length}")
    raise InvalidArgument(f"{source.length} must be at least {has}, the number that {folder} has done, not {asked}")

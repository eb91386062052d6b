"""A run from its first iteration to a complete folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from myrnn._signals import held_interrupts
from myrnn.errors import InvalidArgument, RunError
from myrnn.experiment import Experiment
from myrnn.experiment.parts import OWN
from myrnn.experiment.sources import with_memory
from myrnn.runs.folder import CHECKPOINTS, Job, claim_folder, end_job, is_unfinished, load_job
from myrnn.runs.model import check_same, class_of
from myrnn.runs.prepare import Prepared, prepare
from myrnn.runs.saved import load_run, write_run
from myrnn.runs.trained import Run
from myrnn.runs.training import trained
from myrnn.storage import FolderLock, clear_scratch
from myrnn.training import Checkpoint

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
    make = experiment.model.own_class()
    if folder is not None and is_unfinished(Path(folder)):
        path = Path(folder)
        with FolderLock(path):
            clear_scratch(path)
            work = go_on(path, _same_job(path, experiment), make, progress=progress)
            _do(work, path)
    else:
        work = begin(experiment, make, progress=progress)
        with claim_folder(folder, work.name) as path:
            work.job.begin(path)
            _do(work, path)
    return load_run(path, model=make)


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
    in_memory = getattr(experiment.source, "given", None)
    return replace(job, experiment=replace(job.experiment, source=with_memory(job.experiment.source, in_memory)))


@dataclass
class PendingRun:
    """A run that is to be done or resumed."""

    job: Job
    prepared: Prepared
    make: Any = None  # the class of a user-defined model
    every: float | None = None  # seconds between two checkpoints, by default those of `Checkpoint`
    progress: bool | None = None
    on_trained: Callable[[Run], None] = lambda run: None  # called after the training, before the tests
    # The results so far, and whether those of all tests were written.
    run: Run | None = field(default=None, init=False)
    reports: dict[str, Any] = field(default_factory=dict, init=False)
    is_tested: bool = field(default=False, init=False)

    @property
    def name(self) -> str:
        """The beginning of the folder's name."""
        return self.job.experiment.source.name

    def do(self, folder: Path) -> Run:
        """Train from the beginning or the last checkpoint, test and write the folder, which the caller has locked."""
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
                self.reports[name], numbers[name] = self.prepared.test(name, run, self.progress)
            self._write(folder, run, is_last=True)
        return run

    def _write(self, folder: Path, run: Run, is_last: bool) -> None:
        settings = replace(self.job, model=self.prepared.describe()).settings(folder)
        # A first signal waits until everything is written.
        with held_interrupts():
            write_run(folder, settings, run, self.reports, pictures=is_last)
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

"""A run from its first iteration to a whole folder."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from myrnn.evaluation import LengthReport, evaluate
from myrnn.experiment import Experiment, is_own
from myrnn.graphs import write_graph
from myrnn.models import load_own
from myrnn.runs._job import Job, dropped_unless_saved, end_job
from myrnn.runs._load import Run, load_run
from myrnn.runs._save import CHECKPOINTS, claim_folder, summarize, write_run
from myrnn.tasks import Palindromes, TwinHalves, twice_as_long
from myrnn.training import Checkpoint, History, TrainingStart, train

# Whoever names the seconds between two checkpoints gets them, whatever share of the time that is.
ANY_SHARE = 1e9


def run(experiment: Experiment, folder: str | os.PathLike[str] | None = None, *, progress: bool | None = None) -> Run:
    """Train and test what an experiment says, and keep it in a run folder.

    What is stopped on its way is gone on with by ``myrnn train --resume FOLDER``.

    Parameters
    ----------
    experiment : Experiment
    folder : path, optional
        It must not exist or be empty; by default a new folder ``runs/<task>-<time>``.
    progress : bool, optional
        Whether to show a progress bar; by default it shows in a terminal and in a notebook.

    Returns
    -------
    Run

    Raises
    ------
    RunError
        When the folder holds something or cannot be written.
    TrainingDiverged
        When the loss is no longer finite.
    """
    task, model, optimizer = experiment.make()
    job = Job.of(experiment, task, model)
    with claim_folder(folder, experiment.task.name) as path, dropped_unless_saved(path):
        job.begin(path, model)
        Work(path, job, task, model, optimizer, progress=progress).do()
    return load_run(path, model=load_own(experiment.model.name).make if is_own(experiment.model.name) else None)


@dataclass
class Work:
    """A run that is to be done, or gone on with, in a folder that is held.

    Attributes
    ----------
    folder : Path
    job : Job
    task, model, optimizer : object
        As the job makes them.
    every : float, optional
        Seconds between two checkpoints; by default as `Checkpoint` has them.
    progress : bool, optional
    """

    folder: Path
    job: Job
    task: Any
    model: Any
    optimizer: Any
    every: float | None = None
    progress: bool | None = None

    def do(self) -> tuple[LengthReport, dict[str, Any]]:
        """Train from the last checkpoint on, or from the beginning, evaluate and write the folder.

        Returns
        -------
        report : LengthReport
        numbers : dict
            As `summarize` gives them.
        """
        clock, experiment = _Clock(), self.job.experiment
        history = self._train(clock)
        trained = time.perf_counter()
        report = evaluated(experiment, self.task, self.model, history, self.progress)
        seed = evaluation_seed(experiment)
        numbers = summarize(
            self.model,
            history,
            report,
            training=clock.numbers(int(history.iteration[-1]), trained),
            evaluation={"seed": seed, **_speed("sequences", int(report.total.sum()), time.perf_counter() - trained)},
        )
        pictures = {"graph.svg": lambda path: write_graph(self.model, _example(self.task, seed), path)}
        write_run(self.folder, self.job.settings(self.model), self.model, history, numbers, report, pictures)
        end_job(self.folder)
        return report, numbers

    def _train(self, clock: _Clock) -> History:
        folder = self.folder / CHECKPOINTS
        saving = Checkpoint(folder) if self.every is None else Checkpoint(folder, self.every, ANY_SHARE)
        return train(
            self.model,
            self.task,
            self.optimizer,
            **self.job.training.to_dict(),
            checkpoint=saving,
            resume=True,
            hooks=[clock],
            progress=self.progress,
        )


def evaluation_seed(experiment: Experiment) -> int:
    """Return what seeds the sequences of the test: by default the next seed, others than the model was trained on."""
    asked: int | None = experiment.evaluation.seed
    return experiment.training.seed + 1 if asked is None else asked


def evaluated(
    experiment: Experiment, task: Any, model: Any, history: History, progress: bool | None = None
) -> LengthReport:
    """Evaluate a trained model as its experiment says, by default up to twice the lengths that it was trained on."""
    lengths = experiment.evaluation.lengths
    if lengths is None:
        lengths = (twice_as_long(task) if isinstance(task, TwinHalves | Palindromes) else task).lengths
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


class _Clock:
    """The hook that tells the training itself from what comes before it, such as compiling the model."""

    def __init__(self) -> None:
        self._made = time.perf_counter()
        self._begin: float | None = None
        self._first = 0

    def on_train_begin(self, start: TrainingStart) -> None:
        self._begin, self._first = time.perf_counter(), start.iteration

    def numbers(self, iterations: int, end: float) -> dict[str, Any]:
        """Return how many iterations the run has, and how long those took that were done now."""
        if self._begin is None:
            # All of them were done before.
            return {"iterations": iterations, "resumed_at": iterations}
        resumed = {"resumed_at": self._first} if self._first else {}
        speed = _speed("iterations", iterations - self._first, end - self._begin)
        return {"preparation_seconds": self._begin - self._made, **resumed, **speed, "iterations": iterations}


def _example(task: TwinHalves | Palindromes, seed: int) -> Any:
    """Return one sequence of about four symbols, whose graph fits on a page."""
    length = task.lengths[np.argmin(abs(task.lengths - 4))]
    return task.sample_lengths([length], np.random.default_rng(seed))


def _speed(unit: str, count: int, seconds: float) -> dict[str, Any]:
    return {unit: count, "seconds": seconds, f"{unit}_per_second": count / seconds}

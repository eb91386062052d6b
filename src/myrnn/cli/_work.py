"""What ``myrnn train`` does once it is known what is to be done: train, test, and write the run folder."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from myrnn.cli import _show
from myrnn.cli._graph import write_graph
from myrnn.evaluation import LengthReport, evaluate
from myrnn.runs import CHECKPOINTS, Job, end_job, summarize, write_run
from myrnn.tasks import Palindromes, TwinHalves, twice_as_long
from myrnn.training import Checkpoint, History, TrainingStart, train

# Whoever names the seconds between two checkpoints gets them, whatever share of the time that is.
ANY_SHARE = 1e9


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
    quiet : bool
    """

    folder: Path
    job: Job
    task: Any
    model: Any
    optimizer: Any
    every: float | None
    quiet: bool

    def do(self) -> None:
        """Train from the last checkpoint on, or from the beginning; evaluate, write the folder and show the numbers."""
        clock = _Clock()
        history = self._train(clock)
        trained = time.perf_counter()
        # The sequences of the next seed: others than it was trained on.
        seed = self.job.training.seed + 1
        report = self._evaluate(history, seed)
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
        if self.quiet:
            print(self.folder)
            return
        _show.training(numbers)
        _show.accuracy(report, seed, numbers["evaluation"]["seconds"])
        _show.files(self.folder)

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
            progress=not self.quiet,
        )

    def _evaluate(self, history: History, seed: int) -> LengthReport:
        longer = twice_as_long(self.task)
        return evaluate(
            self.model,
            longer,
            self.job.experiment.evaluation.samples,
            seed,
            lengths=longer.lengths,
            trained=history,
            engine=self.job.training.engine,
            progress=not self.quiet,
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
